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
