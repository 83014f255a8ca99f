# Starts cat for each client.
options=(--protocol echo)
command=(ncat -l -k -4 127.0.0.1 '{port}' --exec /bin/cat)
# ncat starts two processes for each client: one passes bytes on, the other is cat. On one core the first has ended when cat writes. With plain
# clients: ncat was kept on one core, and its processes were stopped while each client sent and reset. 40 of 40 cats were killed by SIGPIPE.
may 'warning' 'sigpipe' 'cat writes to the process of ncat that served its client and has ended'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
