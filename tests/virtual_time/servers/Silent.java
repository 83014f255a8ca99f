import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** A thread for each connection, and a timeout of 20 s for each read. */
class Silent {
    public static void main(String[] words) throws Exception {
        ServerSocket listener = new ServerSocket();
        listener.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0])));
        while (true) {
            Socket client = listener.accept();
            Thread thread = new Thread(() -> serve(client));
            thread.setDaemon(true);
            thread.start();
        }
    }

    private static void serve(Socket client) {
        try (client) {
            client.setSoTimeout(20_000);
            StringBuilder request = new StringBuilder();
            for (int next; (next = client.getInputStream().read()) >= 0; ) {
                request.append((char) next);
                if (request.toString().endsWith("\r\n\r\n")) {
                    request.setLength(0);
                    client.getOutputStream().write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".getBytes());
                }
            }
        } catch (java.io.IOException gone) {
            // The client has gone, or was silent for too long.
        }
    }
}
