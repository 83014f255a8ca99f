# The server of Node's own introduction to http.
package=nodejs
options=(--protocol http)
command=(node "$servers/node.js" '{port}')
