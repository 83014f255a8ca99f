#!/usr/bin/env bash
# Determinism on a loaded machine: the traces of some 78,000 scenarios, first idle, then with a busy loop on each core,
# compared byte for byte. It takes about a minute and writes some 150 MB to a folder of its own, which it removes.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --example traces
traces=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/examples/traces
folder=$(mktemp -d)
loops=()
clean() {
    for pid in "${loops[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap clean EXIT
"$traces" > "$folder/idle"
for _ in $(seq "$(nproc)"); do
    while :; do :; done &
    loops+=($!)
done
"$traces" > "$folder/busy"
cmp "$folder/idle" "$folder/busy"
echo "$(wc -l < "$folder/idle") traces, $(wc -c < "$folder/idle") bytes: the same on $(nproc) busy cores"
