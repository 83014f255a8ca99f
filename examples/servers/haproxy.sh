# It answers by itself, so that no backend is needed.
options=(--protocol http)
file haproxy.cfg << 'END'
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind :{port}
    http-request return status 200 content-type text/plain string "hello"
END
command=(haproxy -db -f '{dir}/haproxy.cfg')
