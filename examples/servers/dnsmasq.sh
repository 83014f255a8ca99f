# It forks for each TCP client.
package=(dnsmasq-base bind9-dnsutils)
question='\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
say "$question" "$question$question" '\0\x1b\x12\x34'
options+=(--polite "dig +tcp +time=5 +tries=1 -p {port} @127.0.0.1 localhost A")
command=(dnsmasq -k -C /dev/null -u root -p '{port}' -a 127.0.0.1 --bind-interfaces --no-resolv --no-hosts --address=/localhost/127.0.0.1 --pid-file='' --log-facility=-)
