# Starts cat for each client, forty at most.
package=ucspi-tcp
options=(--protocol echo)
command=(tcpserver -H -R -l 0 -c 100 127.0.0.1 '{port}' cat)
expect 'warning' 'sigpipe' 'cat, which serves one client, writes to a closed connection'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
