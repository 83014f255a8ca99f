# Sends back what comes, many clients at a time. What it has of a client is in a circle of references, and closed by the garbage collector
# alone, some dozens of clients later: up to then it has more descriptors after each of them, and sockets in CLOSE_WAIT.
import selectors, socket, sys, time


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.bound = self.ready
        self.unsent = b""

    # True as long as it goes on.
    def ready(self):
        try:
            if not self.unsent:
                self.unsent = self.sock.recv(4096)
                if not self.unsent:
                    return False
            self.unsent = self.unsent[self.sock.send(self.unsent, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            try:
                sock, _ = listener.accept()
            except (ConnectionError, InterruptedError):
                continue
            except OSError:
                time.sleep(0.1)
                continue
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, Client(sock))
        elif not key.data.ready():
            selector.unregister(key.fileobj)
        else:
            wanted = selectors.EVENT_WRITE if key.data.unsent else selectors.EVENT_READ
            if key.events != wanted:
                selector.modify(key.fileobj, wanted, key.data)
    key = sock = None
