// The server of Node's own introduction to `http`.
const http = require('node:http');

http.createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.end('hello\n');
}).listen(Number(process.argv[2]), '127.0.0.1');
