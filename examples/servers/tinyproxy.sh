# It is asked for its own page of statistics, so that no other server is needed.
options=(--protocol http)
say 'GET http://tinyproxy.stats/ HTTP/1.0\r\n\r\n' 'GET http://127.0.0.1:9/ HTTP/1.0\r\n\r\n' 'CONNECT 127.0.0.1:9 HTTP/1.0\r\n\r\n'
file tinyproxy.conf << 'END'
Port {port}
Listen 127.0.0.1
StatHost "tinyproxy.stats"
Timeout 600
MaxClients 100
LogLevel Error
END
command=(tinyproxy -d -c '{dir}/tinyproxy.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
