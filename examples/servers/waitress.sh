# One thread for all sockets, and four that answer.
package=python3-waitress
options=(--protocol http --env 'PYTHONPATH={dir}')
file app.py << 'END'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]
END
command=(/usr/bin/python3 -m waitress --listen '127.0.0.1:{port}' app:app)
# asyncore asks poll for POLLPRI, and nobody reads urgent data.
expect 'finding' 'spin' 'an urgent byte, which it asks poll about and never reads'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
