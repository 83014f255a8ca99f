"""A line of the table of `servers.sh`: what was measured of a server in virtual time and in real time. Exits with 1 if the two differ.

    compare.py NAME FOLDER
"""
import pathlib
import sys

name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
# Some servers go through their connections every second or two: memcached's idle thread, 20 to 23 s after the last request.
APART = 2.5


def read(suffix):
    return (folder / f"{name}.{suffix}").read_text().strip()


def times(text):
    parts = (part.split(" s with ") for part in text.split(", ") if " s with " in part)
    return {kind: float(seconds) for seconds, kind in parts}


virtual, real = times(read("virtual")), times(read("real"))
# Apache asks the kernel to keep connections without a request (TCP_DEFER_ACCEPT), and the kernel's time is real.
if name.startswith("apache"):
    real.pop("no request", None)
same = virtual.keys() == real.keys() and all(abs(virtual[kind] - real[kind]) <= APART for kind in real)
print(f"| {name} | {read('virtual') or 'none'} | {read('real') or 'none'}{'' if same else ' **differs**'} | {float(read('took')):.1f} s |")
sys.exit(not same)
