#!/usr/bin/env bash
# The timeouts of real servers: as a hunt learns them in virtual time, and as a plain client meets them in real time. Prints a Markdown table with
# both and how long learning them took, and exits with 1 if two differ by more than servers round them by (servers/compare.py), or if one is
# missing.
#
#     tests/virtual_time/servers.sh [NAME…]     all of them, or these
#
# BROKENPIPE is the command to run (default: cargo run --release). The servers must be installed; one that is not is named and skipped. In real
# time all wait at once, some five minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
servers=$here/../../examples/servers
small=$here/servers
read -ra brokenpipe <<< "${BROKENPIPE:-cargo run --quiet --release --manifest-path $here/../../Cargo.toml --}"
work=$(mktemp -d)
chmod 755 "$work"
started=()
clean() {
    for pid in "${started[@]}"; do kill -- "-$pid" 2> /dev/null || true; done
    rm -rf "$work"
}
trap clean EXIT

# What a server's file may call: examples/servers/README.md.
setup() { setup+="${setup:+ && }$1"; }
file() { setup "$(printf 'cat > {dir}/%s << "END"\n%s\nEND\n:' "$1" "$(cat)")"; }
page() { setup 'chmod 755 {dir} && mkdir -p {dir}/www && echo page > {dir}/www/index.html'; }
say() { :; }
polite() { options+=(--polite "$(printf '%q ' "$servers/$1") {port}"); }
expect() { :; }
may() { :; }

http='GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
names=(nginx redis memcached haproxy lighttpd apache-event apache-prefork node asyncio socketserver go java postgresql dropbear mosquitto)

# Sets how a server is started, `command` and `setup`, how it is asked, `options`, and what its clients say, `payload`.
describe() {
    options=() command=() setup='' payload=$http
    case $1 in
        redis) . "$servers/redis-server.sh"; command+=(--timeout 20); payload='PING\r\n' ;;
        memcached) . "$servers/memcached.sh"; command+=(-o idle_timeout=20); payload='version\r\n' ;;
        apache-event) . "$servers/apache2.sh" ;;
        apache-prefork) . "$servers/apache2.sh"; setup=${setup//mpm_event/mpm_prefork}; setup=$(sed '/^Thread/d; s/^ServerLimit 1/ServerLimit 4/' <<< "$setup") ;;
        dropbear) . "$servers/dropbear.sh"; payload='SSH-2.0-brokenpipe\r\n' ;;
        mosquitto) . "$servers/mosquitto.sh"; payload='\x10\x0c\0\x04MQTT\x04\x02\0\x14\0\0' ;;
        postgresql) . "$servers/postgresql.sh"; payload='\0\0\0\x08\x04\xd2\x16\x2f' ;;
        asyncio | socketserver) options=(--protocol http); command=(python3 "$small/with_$1.py" '{port}') ;;
        go)
            options=(--protocol http)
            go build -o "$work/silent-go" "$small/silent.go"
            command=("$work/silent-go" '{port}')
            ;;
        java) options=(--protocol http); command=(java "$small/Silent.java" '{port}') ;;
        *) . "$servers/$1.sh" ;;
    esac
    [ -z "$setup" ] || options+=(--setup "$setup")
}

# Fills in {dir} and {port}.
filled() { local text=${1//'{dir}'/$dir}; printf %s "${text//'{port}'/$port}"; }

# Starts a server without brokenpipe, and measures.
in_real_time() {
    local word words=() dir=$work/$1 port=$2
    mkdir -m 755 "$dir"
    [ -z "$setup" ] || (cd "$dir" && bash -c "$(filled "$setup")" > "$dir/log" 2>&1)
    for word in "${command[@]}"; do words+=("$(filled "$word")"); done
    (cd "$dir" && exec setsid "${words[@]}" > "$dir/log" 2>&1) &
    started+=($!)
    python3 "$small/silent.py" "$port" "$payload" 330 > "$work/$1.real" 2> "$work/$1.error" &
    waits+=($!)
}

# Hunts with a single scenario, and keeps the line about timeouts, and how long it took from the command to that line.
in_virtual_time() {
    local begin=$EPOCHREALTIME line
    "${brokenpipe[@]}" hunt --cases 1 --out "$work" "${options[@]}" --say "$payload" -- "${command[@]}" 2>&1 | {
        IFS= read -r line || true
        bc <<< "$EPOCHREALTIME - $begin" > "$work/$1.took"
        printf '%s\n' "$line"
        cat
    } > "$work/$1.hunt" || true
    # The line is wrapped.
    awk '/^timeouts:/ { on = 1; sub(/^timeouts: closes a silent client /, "") } on && /^[^ a]/ { exit } on { sub(/^ +/, ""); printf "%s ", $0 }' \
        "$work/$1.hunt" | sed 's/after //g; s/ $//' > "$work/$1.virtual"
}

[ $# = 0 ] || names=("$@")
port=$((20000 + RANDOM % 20000))
there=() waits=()
for name in "${names[@]}"; do
    describe "$name"
    program=${command[0]}
    if [ "$program" = setpriv ]; then program=/usr/lib/postgresql/15/bin/postgres; fi
    if ! command -v "$program" > /dev/null; then
        echo "SKIPPED: $name is not installed" >&2
        continue
    fi
    there+=("$name")
    in_real_time "$name" $((port += 1))
done
begin=$SECONDS
for pid in "${waits[@]}"; do wait "$pid" || true; done
for pid in "${started[@]}"; do kill -- "-$pid" 2> /dev/null || true; done
real=$((SECONDS - begin))
for name in "${there[@]}"; do
    describe "$name"
    in_virtual_time "$name"
done
echo "| server | in virtual time: closes a silent client after | in real time | learnt in |"
echo "|---|---|---|---|"
wrong=0
for name in "${there[@]}"; do
    python3 "$small/compare.py" "$name" "$work" || wrong=1
done
echo
echo "In real time they waited $real s, all at once."
exit $wrong
