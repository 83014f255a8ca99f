# Hands a client over to a server by what it says first. Behind it is socat, which sends back what comes.
package=(sslh socat)
say 'SSH-2.0-brokenpipe\r\n' 'hello\r\n'
polite ask.sh -s hello -e 'hello*'
command=(sh -c 'socat TCP-LISTEN:7,bind=127.0.0.1,reuseaddr,backlog=1024,fork PIPE & exec sslh-select --foreground --listen 127.0.0.1:{port} --ssh 127.0.0.1:7 --anyprot 127.0.0.1:7')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
