# Behind it is socat, which sends back what comes.
package=(rinetd socat)
options=(--protocol echo)
file rinetd.conf << 'END'
127.0.0.1 {port} 127.0.0.1 7
END
command=(sh -c 'socat TCP-LISTEN:7,bind=127.0.0.1,reuseaddr,backlog=1024,fork PIPE & exec rinetd -f -c {dir}/rinetd.conf')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
