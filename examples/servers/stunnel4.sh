# TLS before cat. Nobody gets through the handshake here: it is the server's side of it that is hunted.
package=(stunnel4 openssl)
say '\x16\x03\x01\0\x05' '\x16\x03\x01\0\x05\x01\0\0\x01\0' 'GET / HTTP/1.0\r\n\r\n'
setup 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout {dir}/key -out {dir}/cert 2> /dev/null'
file stunnel.conf << 'END'
foreground = yes
pid =
[cat]
accept = 127.0.0.1:{port}
exec = /bin/cat
cert = {dir}/cert
key = {dir}/key
END
command=(stunnel4 '{dir}/stunnel.conf')
