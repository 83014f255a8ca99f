# Starts cat for each client.
options=(--protocol echo)
file xinetd.conf << 'END'
defaults
{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 100000 1
    log_type = FILE {dir}/log
}
service cat
{
    type = UNLISTED
    port = {port}
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    server = /bin/cat
    disable = no
}
END
command=(xinetd -dontfork -f '{dir}/xinetd.conf')
# cat dies of SIGPIPE when its client has closed with something unread: that is how cat ends.
expect 'warning' 'sigpipe' 'cat, which serves one client, writes to a closed connection'
