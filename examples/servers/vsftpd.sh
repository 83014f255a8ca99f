# Debian's configuration, on this port. A child for each client, in namespaces of its own, and a second one that has no privilege.
say 'USER anonymous\r\n' 'USER anonymous\r\nPASS a@b\r\nPWD\r\n' 'QUIT\r\n'
setup 'mkdir -p /var/run/vsftpd/empty && (cat /etc/vsftpd.conf; echo background=NO; echo anonymous_enable=YES; echo listen_port={port}) > {dir}/vsftpd.conf'
command=(vsftpd '{dir}/vsftpd.conf')
expect 'warning' 'sigpipe' 'the child of one client greets a connection that has been reset'
