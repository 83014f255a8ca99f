# An SMTP server on Python's asyncio.
package=python3-aiosmtpd
options=(--protocol smtp)
command=(/usr/bin/python3 -m aiosmtpd -n -l '127.0.0.1:{port}' -c aiosmtpd.handlers.Sink)
