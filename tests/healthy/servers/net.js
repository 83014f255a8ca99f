// Node's net sends back what comes.
// It has a dozen threads that do nothing, and a timer of its own for what it does later; it leaves half-open connections to their clients.
const net = require("node:net");

const server = net.createServer({ allowHalfOpen: false }, (socket) => {
  // A connection that fails is over, and nothing else is.
  socket.on("error", () => {});
  socket.pipe(socket);
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 128 });
