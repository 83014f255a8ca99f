# It forks for each client. Behind it is socat, which sends back what comes.
package=(redir socat)
options=(--protocol echo)
command=(sh -c 'socat TCP-LISTEN:7,bind=127.0.0.1,reuseaddr,backlog=1024,fork PIPE & exec redir -n 127.0.0.1:{port} 127.0.0.1:7')
expect 'finding' 'exit' 'it ends when accept has no descriptor'
expect 'warning' 'exit' 'it ends when accept fails, before a client is there too'
