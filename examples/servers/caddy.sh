# Go's net/http.
options=(--protocol http --env 'HOME={dir}' --env 'GOMAXPROCS=2')
page
command=(caddy file-server --root '{dir}/www' --listen '127.0.0.1:{port}')
