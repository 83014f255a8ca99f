# Does not run as root.
say 'NICK a\r\nUSER a 0 * :a\r\n' 'PING x\r\n' 'QUIT\r\n'
file ngircd.conf << 'END'
[Global]
Name = irc.localhost
Info = x
Listen = 127.0.0.1
Ports = {port}
ServerUID = irc
ServerGID = irc
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
END
setup 'chmod 755 {dir}'
command=(ngircd -n -f '{dir}/ngircd.conf')
# A client that is reset while it is to wait, as each is who says much: epoll tells of it again and again until the time is up (1 s to 10 s).
may 'finding' 'spin' 'a client that is reset while it is made to wait: epoll reports it until that is over'
