# The same port for UDP; clients are TCP's.
package=(bind9 bind9-dnsutils)
# A question: its length, a header, and `localhost`, type A.
question='\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
say "$question" "$question$question" '\0\x1b\x12\x34'
options+=(--polite "dig +tcp +time=5 +tries=1 -p {port} @127.0.0.1 localhost A")
file named.conf << 'END'
options {
    directory "{dir}";
    listen-on { 127.0.0.1; };
    listen-on-v6 { none; };
    pid-file none;
    session-keyfile "{dir}/session.key";
    recursion no;
    dnssec-validation no;
};
controls {};
zone "localhost" { type master; file "/etc/bind/db.local"; };
END
command=(named -g -n 1 -c '{dir}/named.conf' -p '{port}')
