# It forks for each client.
package=mini-httpd
options=(--protocol http)
page
command=(mini_httpd -D -h 127.0.0.1 -p '{port}' -d '{dir}/www' -u root -i '{dir}/pid')
expect 'finding' 'exit' 'it ends when accept has no descriptor left'
expect 'warning' 'exit' 'the same with an injected error'
