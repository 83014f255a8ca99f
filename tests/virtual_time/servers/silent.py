"""Measures after how many seconds a server closes the connection of a client that is silent: having sent nothing, half of a payload, and all of it.

    silent.py PORT PAYLOAD SECONDS

PAYLOAD has Python's escapes. A client whose connection is still open after SECONDS is not listed.
"""
import socket
import sys
import threading
import time

port, most = int(sys.argv[1]), float(sys.argv[3])
payload = sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1")
half = payload[: (len(payload) + 1) // 2]


def connected(until):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            # It does not listen yet, and who started it does not know when it does.
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def silent(said, found):
    client = connected(time.monotonic() + 30)
    client.sendall(said)
    start = time.monotonic()
    try:
        while (left := start + most - time.monotonic()) > 0:
            client.settimeout(left)
            if not client.recv(65536):
                break
    except TimeoutError:
        return
    except ConnectionResetError:
        pass
    found.append(time.monotonic() - start)


results = {}
threads = []
for name, said in ("no request", b""), ("half a request", half), ("a request", payload):
    results[name] = []
    threads.append(threading.Thread(target=silent, args=(said, results[name])))
connected(time.monotonic() + 30).close()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# What is closed at once has no timeout.
print(", ".join(f"{times[0]:.1f} s with {name}" for name, times in results.items() if times and times[0] > 0.5))
