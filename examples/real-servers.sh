#!/usr/bin/env bash
# Hunts in real servers, as Debian 12 has them: in some nothing is to be found, in three something is. Prints a Markdown table, and exits
# with 0 if all was as expected, 1 if not, 3 if what is missing cannot be installed.
#
#     examples/real-servers.sh [NAME…]          all of them, or these
#
# BROKENPIPE is the command to run (default: cargo run --release), CASES the scenarios for each (default 1000), OUT the folder for
# cases and reports (default: a new one). It installs what is missing with apt-get, which needs root; nothing that is installed is started,
# now or at the next boot. Each server runs in the foreground, with one worker, and needs nothing outside its own folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
read -ra brokenpipe <<< "${BROKENPIPE:-cargo run --quiet --release --manifest-path $here/../Cargo.toml --}"
cases=${CASES:-1000}
out=${OUT:-$(mktemp -d)}

clean=(nginx redis-server memcached lighttpd haproxy mosquitto dropbear python3)
faulty=(iperf http-daemon beanstalkd)

# The package of each server, where it has another name. dropbear's own package would add a service.
declare -A package=([dropbear]=dropbear-bin [http-daemon]=libhttp-daemon-perl)

# What is to be found, with what triggers it. Measured with a plain client on two cores: which order, and in how many of the runs.
#
# iperf: `recvn` answers any fatal error of a read by the flag that stands for Ctrl-C, and the listener looks at the flag before
# each accept. The thread that prints clears it whenever it has nothing to do. So
# - connect, reset: the process exits with 0 if the listener looks first. That is a race of two of its threads: 6 to 9 of 10 by
#   itself, 20 of 20 if five are played in a row, but only 2 of 15 where each call is slowed down, as by a tracer, because the
#   listener's `close` lies between the wake-up of the other thread and the look at the flag. A wait before the reset makes no
#   difference (0, 10, 50, 200 ms, 1 s), up to the 4 s after which the server gives the read up by itself. A FIN does nothing;
# - a connect, a send of 4 bytes 0 (a test's header with no flag set; its connection stays open), b connect, b reset: 10 of 10, traced or
#   not. The printing thread has a's test to do, so nobody clears the flag: the listener closes its socket, the process stays, and
#   a's connection is in CLOSE_WAIT for ever after a has closed.
# - the same with a third client that connects later: a fault (SIGSEGV or an abort), 18 of 18 with waits of 5, 50 and 200 ms between
#   the events.
# The first comes of the shapes that are played without the gate, for the gate takes that race away.
#
# http-daemon: perl leaves SIGPIPE at its default, and a response is six writes. Request, then reset or close, before the first
# write: the first one is ECONNRESET (or draws the reset), the second kills. 6 of 6 where the server has not yet read the request: it is
# held, or is still at another client (it serves one at a time), in the accept queue too. With a wait of 30 ms between request and
# reset it has answered, and nothing happens. A request cut short does nothing. And its loop ends with the first `accept` that fails.
#
# beanstalkd: it asks epoll for EPOLLPRI, level-triggered, and nobody reads urgent data. One urgent byte, before, within or after
# a command: epoll_wait returns at once with EPOLLPRI alone, for ever, until that client sends anything more, closes or resets. It
# still serves the others. So it is seen only while the client is held, and at once.
declare -A expected=([iperf]='crash exit not-listening' [http-daemon]='exit sigpipe' [beanstalkd]=spin)

# The command that makes a server's configuration in its folder of the file that is shipped here.
config() { printf "sed -e 's|@port@|{port}|g' -e 's|@dir@|{dir}|g' %q > {dir}/%q" "$here/servers/$1" "$1"; }
# A page of 64 KiB: some dozens of them in a row outgrow the buffers of a client that does not read.
www='mkdir -p {dir}/www && head -c 65536 /dev/zero | tr "\0" x > {dir}/www/index.html'

# Sets `options` and `command`, the hunt's, for the server of this name.
describe() {
    options=()
    case $1 in
    nginx)
        options=(--protocol http --setup "$www && $(config nginx.conf)")
        command=(nginx -p '{dir}' -c '{dir}/nginx.conf') ;;
    redis-server)
        options=(--protocol redis)
        command=(redis-server --port '{port}' --dir '{dir}' --save '' --appendonly no) ;;
    memcached)
        options=(--protocol memcached)
        command=(memcached -u root -t 1 -U 0 -p '{port}') ;;
    lighttpd)
        options=(--protocol http --setup "$www && $(config lighttpd.conf)")
        command=(lighttpd -D -f '{dir}/lighttpd.conf') ;;
    haproxy)
        options=(--protocol http --setup "$(config haproxy.cfg)")
        command=(haproxy -db -f '{dir}/haproxy.cfg') ;;
    mosquitto)
        # CONNECT without a name, a PINGREQ after it, and a SUBSCRIBE to everything.
        connect='\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0'
        options=(--say "$connect" --say "$connect\\xc0\\0" --say "$connect\\x82\\x06\\0\\x01\\0\\x01#\\0")
        options+=(--polite "$(printf %q "$here/servers/polite-mqtt.sh") {port}" --setup "$(config mosquitto.conf)")
        command=(mosquitto -c '{dir}/mosquitto.conf') ;;
    dropbear)
        options=(--say 'SSH-2.0-brokenpipe\r\n' --polite "$(printf %q "$here/servers/polite-ssh.sh") {port}")
        options+=(--setup 'test -e {dir}/hostkey || dropbearkey -t ed25519 -f {dir}/hostkey')
        command=(dropbear -F -E -s -p '{port}' -r '{dir}/hostkey' -P '{dir}/pid') ;;
    python3)
        options=(--protocol http --setup "$www")
        # Debian's, whichever comes first in the path.
        command=(/usr/bin/python3 -m http.server '{port}' --directory '{dir}/www') ;;
    iperf)
        options=(--say '\0\0\0\0')
        command=(iperf -s -p '{port}') ;;
    http-daemon)
        options=(--protocol http)
        command=(perl "$here/servers/http-daemon.pl" '{port}') ;;
    beanstalkd)
        options=(--say 'stats-job 1\r\n')
        command=(beanstalkd -p '{port}') ;;
    *)
        echo "no server $1; there are ${clean[*]} ${faulty[*]}" >&2
        exit 2 ;;
    esac
}

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

names=("$@")
[ $# -gt 0 ] || names=("${clean[@]}" "${faulty[@]}")
missing=()
for name in "${names[@]}"; do
    describe "$name"
    installed "${package[$name]:-$name}" || missing+=("${package[$name]:-$name}")
done
[ ${#missing[@]} = 0 ] || install "${missing[@]}"

# Hunts in one server, and adds its rows to the table.
hunt() {
    local name=$1 report=$out/$1/report version summary kind file status=0 ok=no kinds=()
    describe "$name"
    mkdir -p "$out/$name"
    echo "== $name: ${command[*]@Q}" >&2
    "${brokenpipe[@]}" hunt "${options[@]}" --cases "$cases" --out "$out/$name" -- "${command[@]}" 2>&1 > "$report" |
        tee "$out/$name/errors" >&2 || status=$?
    cat "$report" >&2
    version=$(dpkg-query -W -f '${Version}' "${package[$name]:-$name}")
    summary=$(tail -n 1 "$report")
    # Each finding's block names its kind first, and then its case, which must be there.
    while read -r kind file; do
        [ -f "$file" ] || continue
        kinds+=("$kind")
        table+=("| $name | $version | \`$kind\` | $file |")
    done < <(awk '/^finding: / {sub(":", "", $2); kind = $2} /^case: / && kind {print kind, $2; kind = ""}' "$report")
    if [ -z "${expected[$name]:-}" ]; then
        # Only if all were played. What was flaky is in the summary, too.
        [ $status = 0 ] && [[ $summary =~ ^([0-9,]+)" scenarios, 0 findings" ]] && [ "${BASH_REMATCH[1]//,/}" -ge "$cases" ] && ok=yes
    else
        # All that is expected, and nothing else.
        [ $status = 1 ] && [ "$(printf '%s\n' "${kinds[@]}" | sort -u | paste -sd ' ')" = "${expected[$name]}" ] && ok=yes
    fi
    [ ${#kinds[@]} -gt 0 ] || table+=("| $name | $version | none, exit code $status | $summary |")
    [ $ok = yes ] || wrong+=("$name")
}

table=()
wrong=()
for name in "${names[@]}"; do hunt "$name"; done
printf '| server | version | finding | case |\n|---|---|---|---|\n'
printf '%s\n' "${table[@]}"
[ ${#wrong[@]} = 0 ] || { printf '\nNot as expected: %s\n' "${wrong[*]}"; exit 1; }
