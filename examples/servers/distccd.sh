# Three processes; a listener with TCP_DEFER_ACCEPT.
package=distcc
say 'DIST00000001ARGC00000001' 'DIST00000001'
options+=(--env TMPDIR=/tmp)
command=(distccd --no-detach --daemon --allow 127.0.0.1 -p '{port}' --log-stderr -j 2)
