# A process for each client. What is accepted is thrown away.
package=exim4-daemon-light
options=(--protocol smtp)
file exim.conf << 'END'
primary_hostname = localhost
exim_user = Debian-exim
spool_directory = {dir}/spool
log_file_path = {dir}/spool/log/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
pid_file_path = {dir}/pid
smtp_accept_max = 0
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = accept
begin routers
nowhere:
  driver = redirect
  data = :blackhole:
END
setup 'chmod 755 {dir} && mkdir {dir}/spool && chown Debian-exim {dir}/spool'
command=(exim4 -bdf -q1h -C '{dir}/exim.conf')
