# Debian's python, whichever comes first in the path.
options=(--protocol http)
page
command=(/usr/bin/python3 -m http.server '{port}' --directory '{dir}/www')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
