# A thread for each client. It is asked for a page of its own.
options=(--protocol http)
say 'GET http://p.p/ HTTP/1.0\r\n\r\n' 'GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n' 'CONNECT 127.0.0.1:9 HTTP/1.0\r\n\r\n'
file config << 'END'
confdir /etc/privoxy
templdir /etc/privoxy/templates
logdir {dir}
listen-address 127.0.0.1:{port}
END
command=(privoxy --no-daemon '{dir}/config')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
