# Python's socketserver with a process for each client sends back each line.
# It reaps when it looks up, every half a second: until then children that have ended are zombies.
import socketserver, sys


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ForkingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128


with Server(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    server.serve_forever()
