# The owner of a connection, by its two ports. It forks for each client.
say '22, 23\r\n' 'x\r\n'
command=(oidentd -i -a 127.0.0.1 -p '{port}' -u root -g root -C /dev/null)
expect 'warning' 'sigpipe' 'an answer to a client that has reset: its child dies'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
