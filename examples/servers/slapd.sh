# LDAP: an anonymous bind, a search of the root, and an unbind.
say '\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0' '\x30\x25\x02\x01\x02\x63\x20\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0\x87\x0bobjectclass\x30\0' '\x30\x05\x02\x01\x03\x42\0'
file slapd.conf << 'END'
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
argsfile {dir}/args
threads 2
database mdb
suffix "dc=x"
directory {dir}/db
END
setup 'mkdir {dir}/db'
command=(slapd -d 0 -f '{dir}/slapd.conf' -h 'ldap://127.0.0.1:{port}')
