"""A listening site in this process, peers made with the `websockets` library, and a real PKI."""

import asyncio
import contextlib
import datetime
import json
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.config import Stations
from agent.messages import Alarm, EvseStatus, OrderResult, OrderSent, Setpoint
from agent.ocpp import Version
from agent.vehicles.stations.authorization import Authorizer
from agent.vehicles.stations.dialect import Policy
from agent.vehicles.stations.fleet import Fleet
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.listeners import Listeners
from agent.worker import loop_policy

HANG_S = 20.0
BOOT_2 = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
BOOT_16 = {"chargePointVendor": "v", "chargePointModel": "m"}
NEEDS = {
    "evseId": 1,
    "chargingNeeds": {
        "requestedEnergyTransfer": "AC_BPT",
        "v2xChargingParameters": {"maxChargePower": 11000, "maxDischargePower": 10000},
    },
}


class Peer:
    """A station as an independent WebSocket implementation sees one."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0
        self.calls = asyncio.Queue()
        self.answers = {}
        self.closed = asyncio.Event()
        self.reader = asyncio.create_task(self._read())

    async def _read(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                if message[0] == 2:
                    await self.calls.put(message)
                else:
                    self.answers.setdefault(message[1], asyncio.get_running_loop().create_future())
                    if not self.answers[message[1]].done():
                        self.answers[message[1]].set_result(message)
        self.closed.set()

    async def ask(self, action, payload):
        """Send a call; return the whole answer."""
        self.number += 1
        name = f"p{self.number}"
        self.answers[name] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps([2, name, action, payload]))
        return await asyncio.wait_for(self.answers[name], HANG_S)

    async def call(self, action, payload):
        """Send a call; return the payload of its result."""
        answer = await self.ask(action, payload)
        assert answer[0] == 3, answer
        return answer[2]

    async def expect(self, action, reply=None):
        """Wait for a call, answering others on the way; answer it with `reply`."""
        while True:
            message = await asyncio.wait_for(self.calls.get(), HANG_S)
            if message[2] == action:
                if reply is not None:
                    await self.reply(message, reply)
                return message
            await self.reply(message, plain_answer(message))

    async def reply(self, message, payload):
        await self.socket.send(json.dumps([3, message[1], payload]))

    async def close(self):
        await self.socket.close()
        await self.reader


def plain_answer(message):
    _, _, action, payload = message
    if action == "SetVariables":
        keep = ("component", "variable")
        return {
            "setVariableResult": [
                {"attributeStatus": "Accepted", **{key: item[key] for key in keep}}
                for item in payload["setVariableData"]
            ]
        }
    if action == "GetVariables":
        return {
            "getVariableResult": [
                {"attributeStatus": "UnknownComponent", **item}
                for item in payload["getVariableData"]
            ]
        }
    return {} if action == "GetConfiguration" else {"status": "Accepted"}


@dataclass
class Site:
    """Fleet and listeners with the settings of a test; everything told upward is in `told`."""

    settings: Stations
    policy: Policy
    told: list = field(default_factory=list)
    timeouts: list = field(default_factory=list)
    signer: object = None

    async def __aenter__(self):
        options = (self.signer,) if self.signer else ()
        self.fleet = Fleet(self.policy, self.told.append, *options)
        self.policy.alarm = self.told.append
        self.listeners = Listeners(self.settings, self.fleet, self.timeouts.append)
        self.listeners.start()
        self.sweeper = asyncio.create_task(self._sweep())
        self.peers = []
        return self

    async def __aexit__(self, *_):
        self.sweeper.cancel()
        for peer in self.peers:
            await peer.close()
        self.listeners.close()
        await asyncio.sleep(0.01)

    async def _sweep(self):
        while True:
            await asyncio.sleep(0.05)
            self.fleet.expire(Instant.now())
            self.listeners.expire(Instant.now())

    @property
    def port(self):
        return self.listeners.ports[0]

    async def connect(self, identity="CS1", version=Version.V21, port=None, tls=None, **options):
        scheme = "wss" if tls else "ws"
        socket = await websockets.connect(
            f"{scheme}://localhost:{port or self.port}/ocpp/{identity}",
            subprotocols=[version.subprotocol],
            ssl=tls,
            open_timeout=HANG_S,
            ping_interval=None,
            proxy=None,
            **options,
        )
        peer = Peer(socket)
        self.peers.append(peer)
        return peer

    async def charging(self, identity="CS1", version=Version.V21, **options):
        """A station with a vehicle, ready for orders."""
        peer = await self.connect(identity, version, **options)
        if version is Version.V16:
            await peer.call("BootNotification", BOOT_16)
            started = await peer.call(
                "StartTransaction",
                {"connectorId": 1, "idTag": "t", "meterStart": 0, "timestamp": now()},
            )
            peer.transaction = started["transactionId"]
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            await peer.call("StatusNotification", status)
            return peer
        await peer.call("BootNotification", BOOT_2)
        await peer.call("TransactionEvent", transaction("Started"))
        if version is Version.V21:
            await peer.call("NotifyEVChargingNeeds", NEEDS)
        return peer

    async def until(self, condition, what="a condition"):
        """Wait for something to become true; return it."""
        deadline = time.monotonic() + HANG_S
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.told[-5:]}"
            await asyncio.sleep(0.005)
        return value

    def last(self, kind, **fields):
        for message in reversed(self.told):
            if isinstance(message, kind) and all(
                getattr(message, key) == value for key, value in fields.items()
            ):
                return message
        return None

    def status(self, evse_id="CS1/1"):
        return self.last(EvseStatus, evse_id=evse_id)

    async def order(self, p_w, evse_id="CS1/1", seq=1, lease_s=30.0, **options):
        self.fleet.order(Setpoint(evse_id, seq, p_w, lease_s, time.monotonic(), **options))

    async def result(self, seq=1, evse_id="CS1/1"):
        return await self.until(
            lambda: self.last(OrderResult, seq=seq, evse_id=evse_id), f"the result of order {seq}"
        )

    def sent(self, seq=1, evse_id="CS1/1"):
        return self.last(OrderSent, seq=seq, evse_id=evse_id)

    def alarms(self):
        return [message for message in self.told if isinstance(message, Alarm)]


def now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def transaction(kind, transaction_id="tx1", seq=0, power_w=None, **more):
    event = {
        "eventType": kind,
        "timestamp": now(),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": transaction_id, "chargingState": "Charging"},
        "evse": {"id": 1},
        **more,
    }
    if power_w is not None:
        measurand = "Power.Active.Export" if power_w > 0 else "Power.Active.Import"
        sample = {"value": abs(power_w), "measurand": measurand}
        event["meterValue"] = [{"timestamp": now(), "sampledValue": [sample]}]
    return event


@pytest.fixture(autouse=True)
def same_loop_as_the_worker():
    """Run on the event loop that the worker uses."""
    asyncio.set_event_loop_policy(loop_policy())
    yield
    asyncio.set_event_loop_policy(None)


@pytest.fixture
def site():
    """Return a factory: `site(**settings)` is an async context manager."""

    def make(policy=None, signer=None, **settings):
        settings = {"host": "127.0.0.1", "port": 0, **settings}
        if policy is None:
            policy = Policy(authorizer=Authorizer(settings.get("authorization", "open")))
        return Site(Stations(**settings), policy, signer=signer)

    return make


@pytest.fixture
def messages():
    """The OCPP payloads that several tests send."""
    return {
        "boot_2": BOOT_2,
        "boot_16": BOOT_16,
        "needs": NEEDS,
        "transaction": transaction,
        "now": now,
    }


class Pki:
    """A certificate authority of a site, and what it issues."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("Test CA", "Site")
        self.certificate = self._issue(self.name, self.key, self.name, self.key, ca=True)
        self.ca = self._write("ca.pem", _pem(self.certificate))
        self.crl = folder / "crl.pem"
        self.revoke()
        self.server = self.issue("server", "localhost", dns="localhost")
        self.issued = {}

    def issue(self, file, common_name, organization="Site", dns=None, issuer=None):
        """Return (certificate path, key path)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name, signer = issuer or (self.name, self.key)
        certificate = self._issue(_name(common_name, organization), key, name, signer, dns=dns)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self._write(f"{file}.pem", _pem(certificate)), self._write(f"{file}.key", key_pem)

    def client(self, pair=None, **options):
        """Return a station's TLS context; `pair` is its certificate and key."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if pair is not None:
            context.load_cert_chain(*pair)
        for key, value in options.items():
            setattr(context, key, value)
        return context

    def settings(self, **more):
        certificate, key = self.server
        return {"certificate": certificate, "key": key, "client_ca": self.ca, **more}

    def revoke(self, *certificates):
        """Write the CRL with these certificates' paths on it."""
        moment = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(moment - datetime.timedelta(days=1))
            .next_update(moment + datetime.timedelta(days=1))
        )
        for path in certificates:
            serial = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(revoked.revocation_date(moment).build())
        self._write("crl.pem", builder.sign(self.key, hashes.SHA256()).public_bytes(_PEM))

    def sign_csr(self, pem):
        """Return the chain for a CSR, as the site's CA program would."""
        request = x509.load_pem_x509_csr(pem)
        certificate = self._issue(request.subject, None, self.name, self.key, request.public_key())
        return _pem(certificate) + _pem(self.certificate)

    def _issue(self, name, key, issuer, signer, public_key=None, dns=None, ca=False):
        moment = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public_key or key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - datetime.timedelta(days=1))
            .not_valid_after(moment + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if dns:
            names = x509.SubjectAlternativeName([x509.DNSName(dns)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def _write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path


_PEM = serialization.Encoding.PEM


def _pem(certificate):
    return certificate.public_bytes(_PEM)


def _name(common_name, organization):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@pytest.fixture
def pki(tmp_path):
    """A fresh PKI."""
    folder = tmp_path / "pki"
    folder.mkdir()
    return Pki(folder)
