package=(nsd bind9-dnsutils)
question='\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
say "$question" "$question$question" '\0\x1b\x12\x34'
options+=(--polite "dig +tcp +time=5 +tries=1 -p {port} @127.0.0.1 localhost A")
file nsd.conf << 'END'
server:
    ip-address: 127.0.0.1@{port}
    do-ip6: no
    username: ""
    chroot: ""
    zonesdir: "{dir}"
    xfrdfile: "{dir}/xfrd"
    xfrdir: "{dir}"
    zonelistfile: "{dir}/zones"
    pidfile: ""
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: localhost
    zonefile: zone
END
file zone << 'END'
localhost. 3600 IN SOA localhost. root.localhost. 1 3600 900 1209600 3600
localhost. 3600 IN NS localhost.
localhost. 3600 IN A 127.0.0.1
END
command=(nsd -d -c '{dir}/nsd.conf')
