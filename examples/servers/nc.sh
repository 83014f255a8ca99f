# One client after the other; what comes goes to its output.
package=netcat-openbsd
command=(nc.openbsd -l -k -N 127.0.0.1 '{port}')
expect 'finding' 'exit' 'it ends when accept has no descriptor'
