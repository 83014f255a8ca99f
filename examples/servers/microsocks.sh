# SOCKS 5, a thread for each client. A greeting, and after it a connect to port 9 here, which refuses.
say '\x05\x01\0' '\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01\0\x09' '\x04\x01'
command=(microsocks -i 127.0.0.1 -p '{port}')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
