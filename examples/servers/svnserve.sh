# It forks for each client, and greets.
package=subversion
say '( 2 ( edit-pipeline ) 21:svn://127.0.0.1/repo/x 4:test ( ) ) ' '( 2 ( edit-pipeline ) '
options+=(--polite "svn info --non-interactive svn://127.0.0.1:{port}/repo > /dev/null")
setup 'svnadmin create {dir}/repo && printf "[general]\nanon-access = read\n" > {dir}/repo/conf/svnserve.conf'
command=(svnserve -d --foreground --listen-host 127.0.0.1 --listen-port '{port}' -r '{dir}')
expect 'finding' 'exit' 'it ends when accept has no descriptor'
