# Go. It greets.
say 'CONNECT {}\r\nPING\r\n' 'PING\r\n' 'SUB a 1\r\nPUB a 5\r\nhello\r\n'
polite ask.sh -e 'INFO*' -s 'PING' -e 'PONG*'
options+=(--env GOMAXPROCS=2)
command=(nats-server -a 127.0.0.1 -p '{port}')
