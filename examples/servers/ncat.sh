# Starts cat for each client.
options=(--protocol echo)
command=(ncat -l -k -4 127.0.0.1 '{port}' --exec /bin/cat)
