options=(--protocol redis)
command=(redis-server --port '{port}' --dir '{dir}' --save '' --appendonly no)
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
