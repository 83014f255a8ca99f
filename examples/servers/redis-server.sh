options=(--protocol redis)
command=(redis-server --port '{port}' --dir '{dir}' --save '' --appendonly no)
