# Tells everybody who connects what it knows, and closes without reading: a request that came is answered with a reset.
# An answer that ends with the connection is a whole answer for such a server.
import socket, sys, threading, time


def tell(connection):
    with connection:
        try:
            connection.sendall(b"<metric name='x' value='1'/>\n" * 30)
        except OSError:
            pass


with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as listener:
    while True:
        try:
            connection, _ = listener.accept()
        except (ConnectionError, InterruptedError):
            continue
        except OSError:
            time.sleep(0.1)
            continue
        threading.Thread(target=tell, args=[connection], daemon=True).start()
