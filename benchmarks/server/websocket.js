// The WebSockets of the benchmarks by Node's package ws: /echo returns every message, /broadcast sends it to all of
// /broadcast.

'use strict';

const server = require('http').createServer((request, response) => response.end());
const open = new Set();

new (require('ws').Server)({ server }).on('connection', (socket, request) => {
  if (request.url !== '/broadcast') {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    return;
  }
  open.add(socket);
  socket.send('k'.repeat(64)); // it will get them
  socket.on('close', () => open.delete(socket));
  socket.on('message', (data, binary) => {
    for (const other of open) other.send(data, { binary });
  });
});

server.listen(Number(process.argv[2]), '127.0.0.1', 1024);
