# What comes is written to a file.
package=rsyslog
say '<13>Jan  1 00:00:00 x y: hello\n' '<13>x'
file rsyslog.conf << 'END'
global(workDirectory="{dir}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{port}")
*.* action(type="omfile" file="{dir}/log")
END
command=(rsyslogd -n -iNONE -f '{dir}/rsyslog.conf')
