#!/usr/bin/env bash
# A good client of a protocol of lines, of the server at port $1. What follows is done in this order: `-s TEXT` sends the text, with C escapes and
# a line's end after it, and `-e PATTERN` reads lines until one matches. Exit code 0 if all came.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
shift
while [ $# -gt 1 ]; do
    case $1 in
    -s) printf '%b\r\n' "$2" >&3 ;;
    -e)
        while IFS= read -r line <&3 || { echo "no line like $2" >&2; exit 1; }; do
            # shellcheck disable=SC2053
            [[ $line == $2 ]] && break
        done
        ;;
    esac
    shift 2
done
