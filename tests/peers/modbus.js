'use strict';

// A Modbus/TCP server made of somebody else's library; what it holds, the test says.
// node modbus.js < {"start": first holding register, "registers": [numbers]}
// Prints {"port"}, then {"address", "registers"} for every write that it is asked for.

const fs = require('fs');
const net = require('net');
const modbus = require('jsmodbus');

const image = JSON.parse(fs.readFileSync(0, 'utf8'));
const holding = Buffer.alloc(2 * (image.start + image.registers.length));
image.registers.forEach((word, at) => holding.writeUInt16BE(word, 2 * (image.start + at)));

const listener = new net.Server();
const server = new modbus.server.TCP(listener, { holding });

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
server.on('preWriteMultipleRegisters', ({ body }) => {
  const bytes = Buffer.from(body.values);
  const registers = Array.from({ length: bytes.length / 2 }, (_, at) => bytes.readUInt16BE(2 * at));
  say({ address: body.address, registers });
});
listener.listen(0, '127.0.0.1', () => say({ port: listener.address().port }));
