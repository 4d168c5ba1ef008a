'use strict';

// ocpp-ws-io asks its logger for these and no more; nothing is logged in the tests.
const silent = () => {};
const logger = new Proxy(
  { child: () => logger },
  { get: (target, name) => (name in target ? target[name] : silent) },
);

exports.createLogger = () => logger;
exports.consoleTransport = () => ({});
exports.prettyTransport = () => ({});
