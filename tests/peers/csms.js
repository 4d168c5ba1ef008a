'use strict';

// A CSMS made of somebody else's OCPP library.
// node csms.js LIBRARY '{"protocol", "strict", "password", "cert", "key", "ca", "identity"}'
// Prints {"port"}; orders what a CSMS orders once a transaction has started; prints the outcome.

const fs = require('fs');
const http = require('http');
const https = require('https');

const [library, optionsText] = process.argv.slice(2);
const options = JSON.parse(optionsText);
const { protocol } = options;
const is16 = protocol === 'ocpp1.6';
const outcome = { heard: {}, failures: [], answers: {} };
let transactionId = 0;
let ordered = false;

const now = () => new Date().toISOString();

function answer(method) {
  outcome.heard[method] = (outcome.heard[method] || 0) + 1;
  switch (method) {
    case 'BootNotification':
      return { status: 'Accepted', currentTime: now(), interval: 1 };
    case 'Heartbeat':
      return { currentTime: now() };
    case 'StartTransaction':
      return { transactionId: 77, idTagInfo: { status: 'Accepted' } };
    case 'NotifyEVChargingNeeds':
      return { status: 'Accepted' };
    default:
      return {};
  }
}

function profile() {
  const period = protocol === 'ocpp2.1'
    ? { startPeriod: 0, operationMode: 'CentralSetpoint', setpoint: -4000 }
    : { startPeriod: 0, limit: 3000 };
  const common = { stackLevel: 1, chargingProfilePurpose: 'TxProfile' };
  if (is16) {
    return {
      connectorId: 1,
      csChargingProfiles: {
        chargingProfileId: 5,
        ...common,
        transactionId,
        chargingProfileKind: 'Absolute',
        chargingSchedule: { chargingRateUnit: 'W', chargingSchedulePeriod: [period] },
      },
    };
  }
  return {
    evseId: 1,
    chargingProfile: {
      id: 5,
      ...common,
      transactionId,
      chargingProfileKind: protocol === 'ocpp2.1' ? 'Dynamic' : 'Absolute',
      chargingSchedule: [{ id: 1, chargingRateUnit: 'W', chargingSchedulePeriod: [period] }],
    },
  };
}

async function order(call) {
  const { answers } = outcome;
  answers.set = await call('SetChargingProfile', profile());
  answers.composite = await call('GetCompositeSchedule', is16
    ? { connectorId: 1, duration: 600, chargingRateUnit: 'W' }
    : { evseId: 1, duration: 600, chargingRateUnit: 'W' });
  answers.variables = is16
    ? await call('GetConfiguration', { key: ['NumberOfConnectors', 'SupportedFeatureProfiles'] })
    : await call('GetVariables', {
      getVariableData: [{
        component: { name: 'SmartChargingCtrlr' }, variable: { name: 'Enabled' },
      }],
    });
  answers.trigger = await call('TriggerMessage', { requestedMessage: 'Heartbeat' });
  const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  await wait(options.holdMs || 1500);
  answers.clear = await call('ClearChargingProfile', is16 ? { id: 5 } : { chargingProfileId: 5 });
  await wait(100);
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

function heard(method, params, call) {
  const result = answer(method);
  const started = method === 'StartTransaction'
    || (method === 'TransactionEvent' && params.eventType === 'Started');
  if (started && !ordered) {
    ordered = true;
    transactionId = is16 ? 77 : params.transactionInfo.transactionId;
    setTimeout(() => order(call).catch((error) => {
      outcome.error = `${error} ${JSON.stringify(error.details || {})}`;
      console.log(JSON.stringify(outcome));
      process.exit(1);
    }), 100);
  }
  return result;
}

/** Whether who connects is who it says: password, or common name of its certificate. */
function proves(identity, password, socket) {
  if (options.password && String(password) !== options.password) {
    return false;
  }
  if (options.ca && options.mutual) {
    return socket.getPeerCertificate().subject.CN === identity;
  }
  return true;
}

function webServer() {
  if (!options.cert) {
    return http.createServer();
  }
  const read = (name) => (options[name] ? fs.readFileSync(options[name]) : undefined);
  return https.createServer({
    cert: read('cert'),
    key: read('key'),
    ca: read('ca'),
    requestCert: Boolean(options.mutual),
    rejectUnauthorized: Boolean(options.mutual),
  });
}

function serveRpc(web) {
  const { RPCServer } = require('ocpp-rpc');
  const server = new RPCServer({
    protocols: [protocol], strictMode: options.strict ? [protocol] : false,
  });
  server.auth((accept, reject, handshake) => {
    const { identity, password, request } = handshake;
    if (proves(identity, password, request.socket)) accept({}); else reject(401);
  });
  server.on('client', (client) => {
    client.on('strictValidationFailure', (event) => outcome.failures.push(String(event.error)));
    client.handle(({ method, params }) => heard(method, params, (m, p) => client.call(m, p)));
  });
  web.on('upgrade', server.handleUpgrade);
}

async function serveWsIo(web) {
  const { OCPPServer } = require('ocpp-ws-io');
  const server = new OCPPServer({
    protocols: [protocol],
    strictMode: options.strict || false,
    securityProfile: options.mutual ? 3 : 0,
    logging: false,
  });
  server.auth((ctx) => {
    const { identity, password } = ctx.handshake;
    const { request } = ctx.handshake;
    const socket = request ? request.socket : undefined;
    if (proves(identity, password, socket || { getPeerCertificate: () => ({
      subject: { CN: (ctx.handshake.clientCertificate || { subject: {} }).subject.CN },
    }) })) ctx.accept({}); else ctx.reject(401);
  });
  server.on('client', (client) => {
    client.on('strictValidationFailure', (event) => outcome.failures.push(JSON.stringify(event)));
    client.handle((method, context) => (
      heard(method, context.params, (m, p) => client.call(protocol, m, p))));
  });
  await server.listen(0, '127.0.0.1', { server: web });
}

async function main() {
  const web = webServer();
  if (library === 'ocpp-rpc') serveRpc(web); else await serveWsIo(web);
  const print = () => console.log(JSON.stringify({ port: web.address().port }));
  if (web.listening) print(); else web.listen(0, '127.0.0.1', print);
}

main();
