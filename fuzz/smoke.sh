#!/usr/bin/env bash
# Builds the fuzz targets as ClusterFuzzLite does, installing cargo-fuzz if it is missing, and runs each from the committed
# corpus, for 30 seconds or as long as said: fuzz/smoke.sh [SECONDS]. Neither the corpus nor anything else here is written to.
# The seed is always the same: a gate that says no should say it again. To look for something new, see fuzz/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
# The targets' builds share fuzz/target, wherever the crate's own go.
unset CARGO_TARGET_DIR
cargo fuzz --version > /dev/null 2>&1 || cargo install cargo-fuzz --locked

OUT=$(mktemp -d)
export OUT
seeds=$PWD/fuzz/corpus/lifecycle
trap 'rm -rf "$OUT"' EXIT
.clusterfuzzlite/build.sh
cd "$OUT"
for target in lifecycle model; do
    test -s "${target}_seed_corpus.zip"
    mkdir "$target-corpus"
    printf '\n== %s, %s s\n' "$target" "$seconds"
    # No more than half a GB beyond what a run needs: memory is to stay flat.
    timeout $((seconds + 60)) "./$target" "$target-corpus" "$seeds" -max_total_time="$seconds" -seed=1 -print_funcs=0 \
        -rss_limit_mb=1024 -print_final_stats=1 > log 2>&1 || { cat log; exit 1; }
    grep -E 'DONE|^stat::' log
done
