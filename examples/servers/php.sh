# PHP's own server, which serves one request after the other.
package=php8.2-cli
options=(--protocol http)
page
command=(php -S '127.0.0.1:{port}' -t '{dir}/www')
# The file stays open after each HEAD: /proc/PID/fd shows it, also after 30 s.
expect 'finding' 'fd-leak' 'each HEAD of a file leaves the file open'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
