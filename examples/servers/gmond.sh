# Ganglia's monitor: tells whoever connects what it knows, and closes.
package=ganglia-monitor
file gmond.conf << 'END'
globals { daemonize = no setuid = no mute = yes deaf = no host_dmax = 0 cleanup_threshold = 300 gexec = no send_metadata_interval = 0 }
cluster { name = "x" owner = "x" latlong = "x" url = "x" }
host { location = "x" }
udp_recv_channel { port = {port} }
tcp_accept_channel { port = {port} }
modules { module { name = "core_metrics" } }
END
command=(gmond -f -c '{dir}/gmond.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
