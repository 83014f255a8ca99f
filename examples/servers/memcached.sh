options=(--protocol memcached)
command=(memcached -u root -t 1 -U 0 -p '{port}')
# After an accept without a descriptor it waits for one of its clients to close before it accepts again. Where none is connected, that is for ever:
# 65 s were watched with a plain client.
expect 'finding' 'unresponsive' 'one EMFILE while nobody is connected, and it never accepts again'
