#!/usr/bin/env bash
# A good SSH client of the server at port $1, which leaves after the greeting: a close with the key exchange unread would be a reset.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'SSH-2.0-polite\r\n' >&3
IFS= read -r line <&3
[[ $line == SSH-2.0-* ]]
# What follows is one packet, its length first.
len=$((16#$(head -c 4 <&3 | od -An -v -tx1 | tr -d ' ')))
[ "$(head -c "$len" <&3 | wc -c)" = "$len" ]
