# It forks for each client. A question is a packet of 1036 bytes with a checksum: clients here get it wrong.
package=nagios-nrpe-server
say '\0\x02\0\x01\0\0\0\0\0\0_NRPE_CHECK\0' 'x'
file nrpe.cfg << 'END'
server_address=127.0.0.1
server_port={port}
nrpe_user=nobody
nrpe_group=nogroup
allowed_hosts=127.0.0.1
pid_file={dir}/pid
command_timeout=60
END
setup 'chmod 777 {dir}'
command=(nrpe -f -n -c '{dir}/nrpe.cfg')
