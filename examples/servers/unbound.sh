package=(unbound bind9-dnsutils)
question='\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
say "$question" "$question$question" '\0\x1b\x12\x34'
options+=(--polite "dig +tcp +time=5 +tries=1 -p {port} @127.0.0.1 localhost A")
file unbound.conf << 'END'
server:
    interface: 127.0.0.1
    port: {port}
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    use-syslog: no
    local-data: "localhost. A 127.0.0.1"
remote-control:
    control-enable: no
END
command=(unbound -d -p -c '{dir}/unbound.conf')
