# Perl's Net::Server, which forks for each client. It greets.
say 'version\n' 'list\n' 'nodes\nquit\n' 'fetch x\n'
polite ask.sh -e '\# munin*' -s version -e 'munins*' -s quit
file munin-node.conf << 'END'
log_level 0
log_file /dev/stderr
pid_file {dir}/pid
background 0
setsid 0
user root
group root
host_name localhost
allow ^127\.0\.0\.1$
host 127.0.0.1
port {port}
END
command=(munin-node --config '{dir}/munin-node.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
