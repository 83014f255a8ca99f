# Three processes; a listener with TCP_DEFER_ACCEPT.
package=distcc
say 'DIST00000001ARGC00000001' 'DIST00000001'
options+=(--env TMPDIR=/tmp)
command=(distccd --no-detach --daemon --allow 127.0.0.1 -p '{port}' --log-stderr -j 2)
# With strace, which injects EMFILE: the process exits with 103, and the first one starts another.
expect 'warning' 'exit' 'a process that serves clients exits when its accept fails with an injected error'
