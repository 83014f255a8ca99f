# It forks and executes git for each client. A question is a packet: its length in four digits first.
package=git
say '0027git-upload-pack /x\0host=localhost\0' '0032git-upload-pack /repo.git\0host=localhost\0' 'zzzz'
options+=(--polite "git -c protocol.version=0 ls-remote git://127.0.0.1:{port}/repo.git" --env 'HOME={dir}')
setup 'git init -q --bare {dir}/repo.git && touch {dir}/repo.git/git-daemon-export-ok && git config --file {dir}/.gitconfig safe.directory "*"'
command=(git daemon --reuseaddr --listen=127.0.0.1 --port='{port}' --base-path='{dir}' --export-all)
expect 'finding' 'exit' 'it ends when accept has no descriptor'
