#!/usr/bin/env bash
# A good MQTT client of the server at port $1: CONNECT, PINGREQ and DISCONNECT, and it reads the whole answer. It gives no name, since
# a second client of the same name would be taken for the first one come back.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf '\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00\xc0\x00\xe0\x00' >&3
answer=$(od -An -v -tx1 <&3 | tr -d ' \n')
# CONNACK, accepted, and PINGRESP; then the server closes.
[ "$answer" = 20020000d000 ]
