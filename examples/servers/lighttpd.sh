options=(--protocol http)
page
file lighttpd.conf << 'END'
server.modules = ( "mod_indexfile" )
server.port = {port}
server.document-root = "{dir}/www"
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html" )
END
command=(lighttpd -D -f '{dir}/lighttpd.conf')
