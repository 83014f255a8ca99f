# A master and one worker; Debian's defaults otherwise. nginx keeps a descriptor of each client that announces a body, is refused, and resets,
# for more than a minute; it is given that time, which is virtual.
options=(--protocol http)
page
file nginx.conf << 'END'
daemon off;
worker_processes 1;
user root;
pid {dir}/nginx.pid;
lock_file {dir}/nginx.lock;
error_log stderr;
events {}
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    scgi_temp_path {dir}/scgi;
    uwsgi_temp_path {dir}/uwsgi;
    server {
        listen {port};
        root {dir}/www;
    }
}
END
command=(nginx -p '{dir}' -c '{dir}/nginx.conf')
