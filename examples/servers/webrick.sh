# Ruby's server: a thread for each client.
package=(ruby-webrick ruby)
options=(--protocol http)
page
command=(/usr/bin/ruby -rwebrick -e 'WEBrick::HTTPServer.new(Port: ARGV[0], BindAddress: "127.0.0.1", DocumentRoot: ARGV[1], AccessLog: []).start' '{port}' '{dir}/www')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
