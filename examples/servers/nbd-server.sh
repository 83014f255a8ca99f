# It goes into the background, forks for each client, and greets. After the greeting: a list of what there is, and the end.
say '\0\0\0\x01' '\0\0\0\x01IHAVEOPT\0\0\0\x03\0\0\0\0' '\0\0\0\x01IHAVEOPT\0\0\0\x02\0\0\0\0'
file nbd.conf << 'END'
[generic]
    port = {port}
    listenaddr = 127.0.0.1
    allowlist = true
[disk]
    exportname = {dir}/disk
END
setup 'truncate -s 1M {dir}/disk'
command=(nbd-server -C '{dir}/nbd.conf' -p '{dir}/pid')
expect 'warning' 'sigpipe' 'the child of one client greets a connection that has been reset'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
