#!/usr/bin/env bash
# Does the feedback from the kernel world pay? The same seeds, the same number of inputs, from an empty corpus, with it and without.
# Prints a table; takes a quarter of an hour.
#
#     fuzz/experiment.sh [RUNS] [SEEDS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20000}
seeds=${2:-5}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

target=$(rustc -vV | sed -n 's/^host: //p')
binary=fuzz/target/$target/release/lifecycle
export BROKENPIPE_REACH=1

printf '| seed | feedback | triples | two in a row | three in a row | corpus | inputs/s |\n|---|---|---|---|---|---|---|\n'
for seed in $(seq "$seeds"); do
    for feedback in with without; do
        mkdir "$scratch/$feedback-$seed"
        start=$(date +%s.%N)
        env $([ "$feedback" = with ] || echo BROKENPIPE_NO_FEEDBACK=1) "$binary" "$scratch/$feedback-$seed" \
            -seed="$seed" -runs="$runs" -print_funcs=0 -artifact_prefix="$scratch/" > "$scratch/log" 2>&1 \
            || { cat "$scratch/log"; exit 1; }
        rate=$(echo "$start $(date +%s.%N) $runs" | awk '{ printf "%.0f", $3 / ($2 - $1) }')
        sed -n 's/^reached: \([0-9]*\) triples, \([0-9]*\) two in a row, \([0-9]*\) three.*/\1 | \2 | \3/p' "$scratch/log" \
            | sed "s/.*/| $seed | $feedback | & | $(find "$scratch/$feedback-$seed" -type f | wc -l) | $rate |/"
    done
done
