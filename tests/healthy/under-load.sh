#!/usr/bin/env bash
# The hunts of the healthy servers beside four busy loops on each core, which are in sessions of their own, as other people's work is.
# Arguments go to the tests: `under-load.sh hunt-waits-timerfd`. It takes some six times as long as without the loops, which end with
# it, and after four hours in any case.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo test --quiet --no-run --test healthy
loops=()
clean() {
    for pid in "${loops[@]}"; do kill "$pid" 2> /dev/null || true; done
}
trap clean EXIT
trap 'exit 130' INT TERM
for _ in $(seq $((4 * $(nproc)))); do
    setsid timeout 4h sh -c 'while :; do :; done' &
    loops+=($!)
done
if [ $# -eq 0 ]; then
    set -- hunt-
fi
cargo test --quiet --test healthy -- "$@"
