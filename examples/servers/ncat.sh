# Starts cat for each client.
options=(--protocol echo)
command=(ncat -l -k -4 127.0.0.1 '{port}' --exec /bin/cat)
# On one core ncat's process for the client has ended before cat, which is killed without strace too: with both on one core, and ncat's
# processes stopped while a client sends and resets, 40 of 40 were.
may 'warning' 'sigpipe' 'cat sends back to the process of ncat for this client, which has ended'
