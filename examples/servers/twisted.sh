# One thread, and a reactor of epoll.
package=python3-twisted
options=(--protocol http)
page
command=(/usr/bin/python3 -m twisted web --listen 'tcp:{port}:interface=127.0.0.1' --path '{dir}/www')
