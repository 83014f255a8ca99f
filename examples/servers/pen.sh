# A load balancer. Behind it is socat, which sends back what comes.
package=(pen socat)
options=(--protocol echo)
command=(sh -c 'socat TCP-LISTEN:7,bind=127.0.0.1,reuseaddr,backlog=1024,fork PIPE & exec pen -f 127.0.0.1:{port} 127.0.0.1:7')
expect 'finding' 'unresponsive' 'a client that comes while no descriptor is left: the next one is cut off'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
may 'finding' 'exit' 'socat, the backend, exits when accept fails because no descriptor is free'
