# It forks for each client.
options=(--protocol http)
page
command=(busybox httpd -f -p "127.0.0.1:{port}" -h "{dir}/www")
expect 'warning' 'sigpipe' 'the child of one client answers a connection that has been reset'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
