# Python's socketserver with a thread for each client sends back each line.
# It looks up every half a second, and shuts a connection down before it closes it.
import socketserver, sys


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    server.serve_forever()
