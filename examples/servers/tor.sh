# Its SOCKS port, without a network. A greeting, and after it a connect to port 9 here, which is not allowed.
say '\x05\x01\0' '\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01\0\x09' '\x04\x01'
file torrc << 'END'
SocksPort 127.0.0.1:{port}
DataDirectory {dir}/data
Log warn stderr
ClientOnly 1
END
command=(tor -f '{dir}/torrc')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
