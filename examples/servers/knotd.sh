package=(knot bind9-dnsutils)
question='\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
say "$question" "$question$question" '\0\x1b\x12\x34'
options+=(--polite "dig +tcp +time=5 +tries=1 -p {port} @127.0.0.1 localhost A")
file knot.conf << 'END'
server:
    rundir: "{dir}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{dir}"
log:
  - target: stderr
    any: error
zone:
  - domain: localhost
    file: "{dir}/zone"
END
file zone << 'END'
@ 3600 SOA localhost. root.localhost. 1 3600 900 1209600 3600
@ 3600 NS localhost.
@ 3600 A 127.0.0.1
END
command=(knotd -c '{dir}/knot.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
