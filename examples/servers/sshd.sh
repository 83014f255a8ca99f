# It executes itself anew for each client.
package=openssh-server
say 'SSH-2.0-brokenpipe\r\n'
polite ask-ssh.sh
setup 'mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N "" -f {dir}/hostkey'
file sshd_config << 'END'
ListenAddress 127.0.0.1
HostKey {dir}/hostkey
PidFile none
MaxStartups 1000
UseDNS no
END
command=(/usr/sbin/sshd -D -e -p '{port}' -f '{dir}/sshd_config')
