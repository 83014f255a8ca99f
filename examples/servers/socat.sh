# It forks for each client, and the child sends back what comes.
options=(--protocol echo)
command=(socat TCP-LISTEN:'{port}',bind=127.0.0.1,reuseaddr,fork PIPE)
expect 'finding' 'exit' 'it ends when accept has no descriptor left'
