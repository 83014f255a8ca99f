#!/usr/bin/env bash
# Can the checks fail? Plants one wrong rule at a time (src/model/seeded_defects.rs), in the model or in how a server's process ends, and has the
# property tests and the fuzzer look for it. Of each the fuzzer must make one artifact, and leave nothing running; triage must make one
# case of that. Prints a table: after how many inputs each found it, and as what. Fails if one of them misses any.
#
#     fuzz/plants.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS='--cfg brokenpipe_plant'
# The fuzzer gives up after so many inputs; every plant is found in far fewer.
runs=${RUNS:-200000}
# A server that aborts is to be a finding, and not a file of its memory.
ulimit -c 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if cargo +nightly --version > /dev/null 2>&1; then nightly=+nightly; else nightly=; export RUSTC_BOOTSTRAP=1; fi

# Folders of their own: other flags, other builds.
cargo $nightly fuzz build --target-dir fuzz/target/plants lifecycle 2> "$scratch/build" || { cat "$scratch/build"; exit 1; }
binary=fuzz/target/plants/$(rustc -vV | sed -n 's/^host: //p')/release/lifecycle
export CARGO_TARGET_DIR=fuzz/target/plants-tests
# The tests of agreement over random scenarios; the exhaustive ones have no number of inputs to tell.
some=(the_kernel_does_what twenty_thousand)
tests() { cargo test -q --no-fail-fast --test properties --test agreement "$@"; }
{
    tests --no-run
    cargo build -q --bin brokenpipe
    cargo build -q --example leftovers
} 2> "$scratch/build" || { cat "$scratch/build"; exit 1; }
names=${*:-$(sed -n 's/^ *[A-Z][A-Za-z0-9]* "\([a-z0-9-]*\)" ".*/\1/p' src/model/seeded_defects.rs)}
# Before Linux 5.16 a core dump of a server ends the fuzzer too, whose memory it shares: those two cannot be planted there.
if [ "$(printf '5.16\n%s\n' "$(uname -r)" | sort -V | head -1)" != 5.16 ]; then
    names=$(tr ' ' '\n' <<< "$names" | grep -vxE 'server-abort|server-segv' || true)
fi

# The first line of what the fuzzer must say of a plant.
finding() {
    case $1 in
        server-abort) echo 'wrong-end: killed by SIGABRT at' ;;
        server-exit) echo 'wrong-end: exited with 3 at' ;;
        server-segv) echo 'wrong-end: killed by SIGSEGV at' ;;
        server-term) echo 'wrong-end: killed by SIGTERM at' ;;
        *) echo 'disagreement: ' ;;
    esac
}

failed=0
no() { echo "$plant: $*" >&2; failed=1; }
printf '| plant | property tests that fail | inputs to the first | fuzzer: inputs | artifacts | case |\n|---|---|---|---|---|---|\n'
for plant in $names; do
    export BROKENPIPE_PLANT=$plant
    here=$scratch/$plant
    mkdir -p "$here/corpus" "$here/artifacts" "$here/cases"
    tests -- "${some[@]}" --test-threads=1 > "$here/tests" 2>&1 || true
    tests=$(grep -c '^---- .* stdout ----$' "$here/tests" || true)
    # proptest says how many inputs passed before the one that failed.
    first=$(sed -n 's/^[[:space:]]*successes: \([0-9]*\).*/\1/p' "$here/tests" | sort -n | head -1)
    "$CARGO_TARGET_DIR/debug/examples/leftovers" "$binary" "$here/corpus" -seed=1 -runs="$runs" -print_funcs=0 \
        -print_final_stats=1 -artifact_prefix="$here/artifacts/" > "$here/fuzzer" 2>&1 || true
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$here/fuzzer")
    # What libFuzzer's handlers would write in a server's process has the same name if it is of the same input.
    artifacts=$(find "$here/artifacts" -type f | wc -l)
    written=$(grep -c 'Test unit written to' "$here/fuzzer" || true)
    "$CARGO_TARGET_DIR/debug/brokenpipe" triage --out "$here/cases" "$here/artifacts" > "$here/triage" 2>&1 || true
    case=$(find "$here/cases" -name "*.case" -exec basename {} \;)
    printf '| `%s` | %s | %s | %s | %s | `%s` |\n' "$plant" "$tests" "${first:+$((first + 1))}" "$inputs" "$artifacts" "$case"

    [ "$tests" -gt 0 ] || no 'no property test failed'
    # The backtrace repeats the message: its first line, and that of the report.
    [ "$(grep -m 1 -oE '^(disagreement|wrong-end|nondeterminism): .*' "$here/fuzzer" | grep -cF "$(finding "$plant")")" = 1 ] \
        || no "the fuzzer does not say \`$(finding "$plant")\`"
    [ "$artifacts" = 1 ] && [ "$written" = 1 ] || no "$artifacts artifacts, written $written times"
    grep -q '^leftovers: ' "$here/fuzzer" || no 'something was left running, or the fuzzer never ended'
    [ "$(sed -n 's/^expect: //p' "$here/cases"/*.case 2> "$here/none" | wc -l)" = 1 ] || no 'triage made no case of it, or several'
done
exit $failed
