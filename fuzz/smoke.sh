#!/usr/bin/env bash
# Builds the fuzz targets as ClusterFuzzLite does, installing cargo-fuzz if it is missing, and runs each from the committed
# corpus, for 30 seconds or as long as said: fuzz/smoke.sh [SECONDS]. Neither the corpus nor anything else here is written to.
# Then the fuzzer is interrupted, and killed, and must leave nothing running.
# The seed is always the same, and values that the kernel world compared (ports, process numbers) are not tried: a gate that says no should
# say it again. To look for something new, see fuzz/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
cargo build --example leftovers
leftovers=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/examples/leftovers
# The targets' builds share fuzz/target, wherever the crate's own go.
unset CARGO_TARGET_DIR
cargo fuzz --version > /dev/null 2>&1 || cargo install cargo-fuzz --locked

OUT=$(mktemp -d)
export OUT
seeds=$PWD/fuzz/corpus/lifecycle
trap 'rm -rf "$OUT"' EXIT
# A build for a long run would rather be slow than make a slow fuzzer.
CARGO_PROFILE_RELEASE_OPT_LEVEL=1 .clusterfuzzlite/build.sh --codegen-units 16
cd "$OUT"
for target in lifecycle model; do
    test -s "${target}_seed_corpus.zip"
    mkdir "$target-corpus"
    printf '\n== %s, %s s\n' "$target" "$seconds"
    # No more than half a GB beyond what a run needs: memory is to stay flat.
    timeout $((seconds + 60)) "./$target" "$target-corpus" "$seeds" -max_total_time="$seconds" -seed=1 -use_cmp=0 -print_funcs=0 \
        -rss_limit_mb=1024 -print_final_stats=1 > log 2>&1 || { cat log; exit 1; }
    # The server's states are told to libFuzzer in these. Without a word from anybody they may be missing, and the search goes on.
    [ "$target" = model ] || grep '^INFO: 65536 Extra Counters' log
    grep -E 'DONE|^stat::' log
done

# By then it has played the seeds, and is signalled when a server of its is there. 72 is libFuzzer's code for an interruption.
for end in INT:72 KILL:137; do
    printf '\n== lifecycle, SIG%s\n' "${end%:*}"
    code=0
    "$leftovers" "${end%:*}" INITED ./lifecycle lifecycle-corpus "$seeds" -print_funcs=0 > log 2>&1 || code=$?
    if [ "$code" != "${end#*:}" ] || ! grep '^leftovers: [1-9]' log; then
        cat log
        echo "ended with $code" >&2
        exit 1
    fi
done
