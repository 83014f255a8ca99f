# An IMAP server of five and more processes: a master, and one for the login of each client.
package=(dovecot-imapd dovecot-core)
say 'a CAPABILITY\r\n' 'a LOGIN x y\r\n' 'a LOGOUT\r\n'
polite ask.sh -e '\* OK*' -s 'a NOOP' -e 'a OK*' -s 'b LOGOUT' -e 'b OK*'
file dovecot.conf << 'END'
base_dir = {dir}/run
state_dir = {dir}/state
log_path = /dev/stderr
protocols = imap
ssl = no
listen = 127.0.0.1
service imap-login {
  chroot =
  inet_listener imap {
    port = {port}
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home={dir}/home
}
END
command=(dovecot -F -c '{dir}/dovecot.conf')
# Its loop asks epoll for EPOLLPRI, as beanstalkd's does.
expect 'finding' 'spin' 'an urgent byte, which it asks epoll about and never reads'
expect 'warning' 'unresponsive' 'a login process whose accept fails: nobody is served for a while'
