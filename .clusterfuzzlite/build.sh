#!/usr/bin/env bash
# Builds the fuzz targets into $OUT, each with its seed corpus: what ClusterFuzzLite and OSS-Fuzz call, in a container with the
# folder of the project as the current one. fuzz/smoke.sh calls it anywhere else. Arguments are options of `cargo fuzz build`.
set -euo pipefail
: "${OUT:?the folder to build into}"
cd "${SRC:+$SRC/brokenpipe}" 2> /dev/null || cd "$(dirname "$0")/.."

# The images' toolchain is a nightly already.
if rustc --version | grep -q nightly; then toolchain=
elif cargo +nightly --version > /dev/null 2>&1; then toolchain=+nightly
else toolchain=; export RUSTC_BOOTSTRAP=1; fi

cargo $toolchain fuzz build "$@"
release=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release
for target in lifecycle model; do
    cp "$release/$target" "$OUT/"
    # Both targets read the same bytes. The images have zip, other machines more often Python.
    if command -v zip > /dev/null; then zip -jq "$OUT/${target}_seed_corpus.zip" fuzz/corpus/lifecycle/*.seed
    else python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" fuzz/corpus/lifecycle/*.seed; fi
done
