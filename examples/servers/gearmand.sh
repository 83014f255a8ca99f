package=gearman-job-server
say 'version\r\n' 'status\r\n' 'workers\r\n' '\0REQ\0\0\0\x10\0\0\0\x05hello'
polite ask.sh -s version -e 'OK*'
command=(gearmand --listen 127.0.0.1 --port '{port}' --log-file stderr --user root)
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
