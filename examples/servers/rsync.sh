# A daemon that forks for each client. It greets.
say '@RSYNCD: 31.0\n' '@RSYNCD: 31.0\n#list\n' '@RSYNCD: 31.0\nfiles\n'
page
file rsyncd.conf << 'END'
use chroot = no
uid = root
gid = root
log file = /dev/stderr
[files]
    path = {dir}/www
END
command=(rsync --daemon --no-detach --address=127.0.0.1 --port='{port}' --config='{dir}/rsyncd.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
