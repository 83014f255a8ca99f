// Node's http answers every request.
// It closes connections that are idle for 5 s, and looks for requests that take too long every half a minute.
const http = require("node:http");

const server = http.createServer((request, response) => {
  request.resume();
  response.end("hello\n");
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 128 });
