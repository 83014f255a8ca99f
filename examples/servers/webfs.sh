# One thread.
options=(--protocol http)
page
command=(webfsd -F -4 -i 127.0.0.1 -p '{port}' -r '{dir}/www' -f index.html)
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
