'use strict';

// Charging stations made of somebody else's OCPP library, one after the other.
// node station.js LIBRARY '[{"endpoint", "identity", "protocol", "strict", "password", "ca"...}]'
// Each boots, starts a transaction, carries out one charging profile, and prints what happened.

const fs = require('fs');

const [library, stationsText] = process.argv.slice(2);

function answer(outcome, method, params) {
  switch (method) {
    case 'SetChargingProfile':
      outcome.gotOrder(params);
      return { status: 'Accepted' };
    case 'SetVariables':
      return {
        setVariableResult: params.setVariableData.map(({ component, variable }) => (
          { attributeStatus: 'Accepted', component, variable })),
      };
    case 'GetVariables':
      return {
        getVariableResult: params.getVariableData.map(({ component, variable }) => (
          { attributeStatus: 'UnknownComponent', component, variable })),
      };
    case 'GetConfiguration':
      return { unknownKey: params.key };
    default:
      return { status: 'Accepted' };
  }
}

function tlsOf(options) {
  const read = (name) => (options[name] ? fs.readFileSync(options[name]) : undefined);
  return options.ca
    ? { ca: read('ca'), cert: read('cert'), key: read('key'), rejectUnauthorized: true }
    : undefined;
}

function connectRpc(options, outcome) {
  const { endpoint, identity, protocol } = options;
  const { RPCClient } = require('ocpp-rpc');
  const client = new RPCClient({
    endpoint,
    identity,
    protocols: [protocol],
    strictMode: options.strict ? [protocol] : false,
    password: options.password,
    wsOpts: tlsOf(options) || {},
    reconnect: false,
  });
  client.on('strictValidationFailure', (event) => outcome.failures.push(String(event.error)));
  client.handle(({ method, params }) => answer(outcome, method, params));
  return { client, call: (method, params) => client.call(method, params) };
}

function connectWsIo(options, outcome) {
  const { endpoint, identity, protocol } = options;
  const tls = tlsOf(options);
  const { OCPPClient } = require('ocpp-ws-io');
  const securityProfile = tls ? (tls.cert ? 3 : 2) : (options.password ? 1 : 0);
  const client = new OCPPClient({
    endpoint,
    identity,
    protocols: [protocol],
    strictMode: options.strict || false,
    securityProfile,
    password: options.password,
    tls,
    reconnect: false,
  });
  client.on('strictValidationFailure', (event) => outcome.failures.push(JSON.stringify(event)));
  for (const method of ['SetChargingProfile', 'SetVariables', 'GetVariables', 'GetConfiguration',
    'ChangeConfiguration', 'SendLocalList']) {
    client.handle(protocol, method, async ({ params }) => answer(outcome, method, params));
  }
  return { client, call: (method, params) => client.call(protocol, method, params) };
}

const now = () => new Date().toISOString();

async function plugIn16(call, outcome) {
  outcome.boot = await call('BootNotification', {
    chargePointVendor: library, chargePointModel: 'peer',
  });
  outcome.heartbeat = await call('Heartbeat', {});
  outcome.authorize = await call('Authorize', { idTag: 'TAG' });
  const { transactionId } = await call('StartTransaction', {
    connectorId: 1, idTag: 'TAG', meterStart: 0, timestamp: now(),
  });
  await call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Charging' });
  await call('MeterValues', {
    connectorId: 1,
    transactionId,
    meterValue: [{
      timestamp: now(),
      sampledValue: [{ value: '7200.0', measurand: 'Power.Active.Import', unit: 'W' }],
    }],
  });
}

async function plugIn2(call, outcome, protocol) {
  outcome.boot = await call('BootNotification', {
    reason: 'PowerUp', chargingStation: { model: 'peer', vendorName: library },
  });
  outcome.heartbeat = await call('Heartbeat', {});
  outcome.authorize = await call('Authorize', {
    idToken: { idToken: 'TAG', type: 'Central' },
  });
  await call('StatusNotification', {
    timestamp: now(), connectorStatus: 'Occupied', evseId: 1, connectorId: 1,
  });
  await call('TransactionEvent', {
    eventType: 'Started',
    timestamp: now(),
    triggerReason: 'CablePluggedIn',
    seqNo: 0,
    transactionInfo: { transactionId: 'peer-1', chargingState: 'Charging' },
    evse: { id: 1, connectorId: 1 },
    meterValue: [{
      timestamp: now(),
      sampledValue: [{ value: 7200.0, measurand: 'Power.Active.Import' }],
    }],
  });
  if (protocol === 'ocpp2.1') {
    await call('NotifyEVChargingNeeds', {
      evseId: 1,
      chargingNeeds: {
        requestedEnergyTransfer: 'AC_BPT',
        v2xChargingParameters: { maxChargePower: 11000, maxDischargePower: 11000 },
      },
    });
  }
}

async function play(options) {
  const outcome = { identity: options.identity, failures: [] };
  const order = new Promise((resolve) => { outcome.gotOrder = resolve; });
  try {
    const connect = library === 'ocpp-rpc' ? connectRpc : connectWsIo;
    const { client, call } = connect(options, outcome);
    await client.connect();
    const plugIn = options.protocol === 'ocpp1.6' ? plugIn16 : plugIn2;
    await plugIn(call, outcome, options.protocol);
    console.log(JSON.stringify({ identity: options.identity, ready: true }));
    outcome.order = await order;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    await client.close();
  } catch (error) {
    outcome.error = String(error);
    outcome.details = error.details;
  }
  console.log(JSON.stringify(outcome));
}

async function main() {
  for (const options of JSON.parse(stationsText)) {
    await play(options);
  }
  process.exit(0);
}

main();
