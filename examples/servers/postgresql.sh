# It refuses to run as root. A process for each client, and five of its own. Payloads: a request for TLS, and a user's first message.
package=(postgresql-15 postgresql-client-15)
startup='\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0'
say '\0\0\0\x08\x04\xd2\x16\x2f' "$startup" "$startup"'Q\0\0\0\x0dselect 1\0'
options+=(--polite "psql -X -w -h 127.0.0.1 -p {port} -U postgres -Atc 'select 1' postgres")
setup "chmod 755 {dir} && mkdir {dir}/db && chown postgres {dir}/db && setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/15/bin/initdb -D {dir}/db -A trust -N --no-instructions > /dev/null"
command=(setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/15/bin/postgres -D '{dir}/db' -p '{port}' -k '' -c listen_addresses=127.0.0.1 -c fsync=off)
