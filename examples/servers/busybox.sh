# It forks for each client.
options=(--protocol http)
page
command=(busybox httpd -f -p "127.0.0.1:{port}" -h "{dir}/www")
expect 'warning' 'sigpipe' 'the child of one client answers a connection that has been reset'
