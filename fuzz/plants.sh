#!/usr/bin/env bash
# Can the checks fail? Plants one wrong rule at a time in the model (src/model/plant.rs), and has the property tests and the fuzzer
# look for the disagreement. Prints a table: after how many inputs each found it. Fails if one of them misses any.
#
#     fuzz/plants.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS='--cfg brokenpipe_plant'
# The fuzzer gives up after so many inputs; every plant is found in far fewer.
runs=${RUNS:-200000}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if cargo +nightly --version > /dev/null 2>&1; then nightly=+nightly; else nightly=; export RUSTC_BOOTSTRAP=1; fi

# Folders of their own: other flags, other builds.
cargo $nightly fuzz build --target-dir fuzz/target/plants lifecycle 2> "$scratch/build" || { cat "$scratch/build"; exit 1; }
# The tests of agreement over random scenarios; the exhaustive ones have no number of inputs to tell.
tests() {
    CARGO_TARGET_DIR=fuzz/target/plants-tests cargo test -q --no-fail-fast --test properties --test agreement "$@"
}
some=(the_kernel_does_what twenty_thousand)
tests --no-run 2> "$scratch/build" || { cat "$scratch/build"; exit 1; }
binary=fuzz/target/plants/$(rustc -vV | sed -n 's/^host: //p')/release/lifecycle
names=${*:-$(sed -n 's/^ *[A-Z][A-Za-z0-9]* "\([a-z0-9-]*\)" ".*/\1/p' src/model/plant.rs)}

missed=0
printf '| plant | property tests that fail | inputs to the first | fuzzer: inputs |\n|---|---|---|---|\n'
for plant in $names; do
    export BROKENPIPE_PLANT=$plant
    tests -- "${some[@]}" --test-threads=1 > "$scratch/tests" 2>&1 || true
    failed=$(grep -c '^---- .* stdout ----$' "$scratch/tests" || true)
    # proptest says how many inputs passed before the one that failed.
    first=$(sed -n 's/^[[:space:]]*successes: \([0-9]*\).*/\1/p' "$scratch/tests" | sort -n | head -1)
    mkdir -p "$scratch/corpus-$plant"
    fuzzer=none
    "$binary" "$scratch/corpus-$plant" -seed=1 -runs="$runs" -print_funcs=0 -print_final_stats=1 \
        -artifact_prefix="$scratch/" > "$scratch/fuzzer" 2>&1 \
        || fuzzer=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/fuzzer")
    grep -q '^disagreement: ' "$scratch/fuzzer" || fuzzer=none
    printf '| `%s` | %s | %s | %s |\n' "$plant" "$failed" "${first:+$((first + 1))}" "$fuzzer"
    if [ "$failed" -eq 0 ] || [ "$fuzzer" = none ]; then missed=1; fi
done
exit $missed
