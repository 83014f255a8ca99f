#!/usr/bin/env bash
# Hunts in real servers, as Debian 12 has them. Most are healthy; of the others it is known what is found. Prints a Markdown table with what
# was found and why, and exits with 0 if all was as expected, 1 if not, 3 if what is missing cannot be installed.
#
#     examples/real-servers.sh [NAME…]          all of them, or these
#     examples/real-servers.sh --list           their names, and how each is started
#
# Each server is a file in servers/, which says how it is installed, started and talked to, and what is expected: servers/README.md.
# BROKENPIPE is the command to run (default: cargo run --release), CASES the scenarios for each (default 1000), OUT the folder for cases and
# reports (default: a new one). It installs what is missing with apt-get, which needs root; nothing that is installed is started, now or at
# the next boot. Each server runs in the foreground and needs nothing outside its own folder, and each has a network of its own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
servers=$here/servers
read -ra brokenpipe <<< "${BROKENPIPE:-cargo run --quiet --release --manifest-path $here/../Cargo.toml --}"
cases=${CASES:-1000}
out=${OUT:-$(mktemp -d)}

# What a server's file may call; it sets `command`, and may set `package` and add to `options`.

# setup COMMAND: a shell command that is run before each start.
setup() { setup+="${setup:+ && }$1"; }
# file NAME < TEXT: a file in the server's folder, in which {port} and {dir} are filled in.
file() { setup "$(printf 'cat > {dir}/%s << "END"\n%s\nEND\n:' "$1" "$(cat)")"; }
# page: a page of 64 KiB at {dir}/www/index.html. Some dozens of them in a row outgrow the buffers of a client that does not read.
page() { setup 'chmod 755 {dir} && mkdir -p {dir}/www && head -c 65536 /dev/zero | tr "\0" x > {dir}/www/index.html'; }
# say PAYLOAD…: what clients send.
say() { local payload; for payload; do options+=(--say "$payload"); done; }
# polite PROGRAM [ARGUMENT…]: a good client, a program in servers/ that is given the port and these arguments.
polite() { options+=(--polite "$(printf '%q ' "$servers/$1") {port} $([ $# = 1 ] || printf '%q ' "${@:2}")"); }
# expect SEVERITY KIND WHY: what must be found. may: what comes true now and then.
expect() { expected+=("$1 $2"); why["$1 $2"]=$3; }
may() { possible+=("$1 $2"); why["$1 $2"]=$3; }

describe() {
    if [ ! -f "$servers/$1.sh" ]; then
        echo "no server $1; there are $(names | paste -sd ' ')" >&2
        exit 2
    fi
    package=("$1") options=() command=() expected=() possible=() setup=
    unset why
    declare -gA why=()
    # shellcheck source=/dev/null
    . "$servers/$1.sh"
    [ -z "$setup" ] || options+=(--setup "$setup")
}

names() { (cd "$servers" && printf '%s\n' [a-z]*.sh | grep -v '^ask' | sed 's/\.sh$//'); }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

# Installs packages so that none of their services is started, now or at the next boot.
install() {
    if [ "$(id -u)" != 0 ]; then
        echo "not installed: $*; as root: apt-get install --no-install-recommends $*" >&2
        exit 3
    fi
    local before
    saved=$(mktemp -d)
    [ ! -e "$policy" ] || cp -a "$policy" "$saved/policy"
    trap restore EXIT
    # 101: whatever a package wants to do to its service is forbidden.
    printf '#!/bin/sh\nexit 101\n' > "$saved/forbid"
    chmod +x "$saved/forbid"
    mv "$saved/forbid" "$policy"
    before=$(enabled)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >&2 || exit 3
    comm -13 <(echo "$before") <(enabled) | while read -r unit; do systemctl disable --quiet "$unit" >&2; done
    restore
    trap - EXIT
}

# Puts the machine's own policy back, or none.
policy=/usr/sbin/policy-rc.d
restore() {
    rm -f "$policy"
    [ ! -e "$saved/policy" ] || mv "$saved/policy" "$policy"
    rm -rf "$saved"
}

# The services that are started at boot, sorted.
enabled() {
    command -v systemctl > /dev/null || return 0
    systemctl list-unit-files --type service --state enabled --no-legend 2> /dev/null | awk '{print $1}' | sort
}

# Hunts in one server, and adds its rows to the table.
hunt() {
    local name=$1 folder=$out/$1 version played status=0 ok=yes severity kind rest result key
    local -A seen=()
    describe "$name"
    mkdir -p "$folder"
    echo "== $name: ${command[*]@Q}" >&2
    "${brokenpipe[@]}" hunt "${options[@]}" --cases "$cases" --format json --out "$folder" -- "${command[@]}" \
        2>&1 > "$folder/results" | tee "$folder/log" >&2 || status=$?
    version=$(dpkg-query -W -f '${Version}' "${package[0]}")
    played=$(sed -n 's/^\([0-9,]*\) scenarios.*/\1/p' "$folder/log" | tail -n 1 | tr -d ,)
    total=$((total + ${played:-0}))
    # Hunted to the end.
    [ "${played:-0}" -ge "$cases" ] || ok=no
    while IFS=$'\t' read -r severity kind rest; do
        [ "$severity" != unconfirmed ] || continue
        key="$severity $kind"
        seen[$key]=yes
        [ -n "${why[$key]:-}" ] || ok=no
        table+=("| $name | $version | $severity: \`$kind\` | ${why[$key]:-NOT EXPECTED} | $rest |")
    done < <(results "$folder/results")
    for key in ${expected[@]+"${expected[@]}"}; do
        [ -n "${seen[$key]:-}" ] || { ok=no; table+=("| $name | $version | $key: NOT FOUND | ${why[$key]} | |"); }
    done
    [ ${#seen[@]} -gt 0 ] || table+=("| $name | $version | none | | |")
    if [ $ok = no ]; then
        wrong+=("$name")
        echo "== $name: not as expected (exit code $status, ${played:-0} scenarios)" >&2
    fi
}

# The severity, kind, role of the process, scenario and case of each result.
results() {
    python3 - "$1" << 'END'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    result = json.loads(line)
    severity = result.get("severity") or ("warning" if result["warning"] else "finding" if result["case"] else "flaky")
    scenario = result["scenario"].replace("|", "\\|")
    print(severity, result["kind"], f"`{scenario}` ({result['process']}) {result['case'] or ''}", sep="\t")
END
}

if [ "${1:-}" = --list ]; then
    for name in $(names); do
        describe "$name"
        echo "$name: ${command[*]@Q}"
    done
    exit
fi
chosen=("$@")
[ $# -gt 0 ] || mapfile -t chosen < <(names)
missing=()
for name in "${chosen[@]}"; do
    describe "$name"
    for one in "${package[@]}"; do installed "$one" || missing+=("$one"); done
done
[ ${#missing[@]} = 0 ] || install "${missing[@]}"

table=()
wrong=()
total=0
for name in "${chosen[@]}"; do hunt "$name"; done
printf '| server | version | found | why | by |\n|---|---|---|---|---|\n'
printf '%s\n' "${table[@]}"
printf '\n%s servers, %s scenarios, in %s minutes\n' "${#chosen[@]}" "$total" "$(((SECONDS + 59) / 60))"
[ ${#wrong[@]} = 0 ] || { printf 'Not as expected: %s\n' "${wrong[*]}"; exit 1; }
