# One test after the other. A client names its test by 37 bytes.
say 'abcdefghijklmnopqrstuvwxyz0123456789\0' '\0'
command=(iperf3 -s -B 127.0.0.1 -p '{port}')
