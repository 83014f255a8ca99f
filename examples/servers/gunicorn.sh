# A master and one synchronous worker, which it watches.
options=(--protocol http)
file app.py << 'END'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]
END
command=(/usr/bin/gunicorn --chdir '{dir}' --worker-tmp-dir '{dir}' -w 1 -b '127.0.0.1:{port}' app:app)
may 'finding' 'exit' 'a worker that cannot start for want of descriptors: the master ends too'
