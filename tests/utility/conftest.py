"""A CSMS made with the `websockets` library, and the client on the real `control.step`."""

import asyncio
import contextlib
import datetime
import itertools
import json
import ssl
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.config import Gateway, Settings, Utility
from agent.control import Inputs, Now, initial_state, parameters_from, step
from agent.messages import (
    Alarm,
    AuditEvent,
    ControlRequest,
    EvseStatus,
    Measurement,
    RequestOutcome,
    Snapshot,
    StationAnswer,
    StationCall,
    Validity,
)
from agent.utility.context import Context
from agent.utility.csms.client import CsmsClient

HANG_S = 20.0


def evse(name="CS1/1", **changes):
    """An idle V2X EVSE with a vehicle."""
    values = {
        "protocol": "OCPP 2.1",
        "online": True,
        "plugged": True,
        "t_utc_s": time.time(),
        "published_s": time.monotonic(),
        "p_w": 0.0,
        "charge_max_w": 11_000.0,
        "discharge_max_w": 11_000.0,
        "soc_pct": 60.0,
        "capacity_wh": 60_000.0,
        "energy_import_wh": 1000.0,
        "energy_export_wh": 500.0,
    }
    return EvseStatus(name, **{**values, **changes})


async def until(condition, what="a condition", timeout_s=HANG_S):
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)
    return value


class Csms:
    """A CSMS that accepts everything, unless `answers` says otherwise; keeps what it hears."""

    def __init__(self, protocols=("ocpp2.1", "ocpp2.0.1", "ocpp1.6"), interval=300, tls=None):
        self.protocols = protocols
        self.interval = interval
        self.tls = tls
        self.answers = {}
        self.heard = []
        self.sockets = []
        self.paths = []
        self.headers = []
        self.number = 0
        self.waiting = {}
        self.transaction = 1000
        self.port = 0

    async def __aenter__(self):
        await self.open()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def open(self):
        self.server = await websockets.serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=list(self.protocols),
            ssl=self.tls,
            ping_interval=None,
            open_timeout=HANG_S,
            close_timeout=0.2,
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self):
        self.server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.server.wait_closed(), 2)

    @property
    def url(self):
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}/ocpp"

    async def _serve(self, socket):
        self.sockets.append(socket)
        self.paths.append(socket.request.path)
        self.headers.append(socket.request.headers)
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in socket:
                message = json.loads(text)
                if message[0] == 2:
                    self.heard.append((message[2], message[3]))
                    answer = self._answer(message[2], message[3])
                    if asyncio.iscoroutine(answer):
                        answer = await answer
                    if answer is not None:
                        kind = 4 if isinstance(answer, list) else 3
                        body = answer if kind == 4 else [answer]
                        await socket.send(json.dumps([kind, message[1], *body]))
                elif (waiting := self.waiting.pop(message[1], None)) and not waiting.done():
                    waiting.set_result(message)

    def _answer(self, action, payload):
        answer = self.answers.get(action)
        if answer is not None:
            return answer(payload) if callable(answer) else answer
        now = datetime.datetime.now(datetime.UTC).isoformat()
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": self.interval}
        if action == "Heartbeat":
            return {"currentTime": now}
        if action == "StartTransaction":
            self.transaction += 1
            return {"transactionId": self.transaction, "idTagInfo": {"status": "Accepted"}}
        if action == "NotifyEVChargingNeeds":
            return {"status": "Accepted"}
        return {}

    async def ask(self, action, payload, socket=None):
        """Call the station; return the whole answer."""
        self.number += 1
        name = f"c{self.number}"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        await (socket or self.sockets[-1]).send(json.dumps([2, name, action, payload]))
        return await asyncio.wait_for(self.waiting.get(name), HANG_S)

    async def call(self, action, payload, socket=None):
        """Call the station; return the payload of its result."""
        answer = await self.ask(action, payload, socket)
        assert answer[0] == 3, answer
        return answer[2]

    def of(self, action):
        return [payload for name, payload in self.heard if name == action]

    def drop(self):
        """Cut the connections without a word."""
        for socket in self.sockets:
            socket.transport.abort()


class Site:
    """The client in this process; the control behind it is the real `control.step`."""

    def __init__(self, folder: Path, evses=(), f_hz=50.0, **utility):
        self.settings = Settings(
            path=folder / "agent.toml",
            gateway=Gateway(name="GW1", state_dir=folder / "state"),
            utility=Utility(reconnect_min_s=0.1, reconnect_max_s=0.5, **utility),
        )
        self.statuses = {each.evse_id: each for each in evses}
        self.f_hz = f_hz
        self.told = []
        self.requests = []
        self.outcomes = []
        self.views = {}
        self.state = initial_state(
            parameters_from(nominal_hz=50.0, ramp_share_per_s=1.0, min_interval_s=0.0, name="GW1")
        )
        self.loop_view = None
        self.standing = ()
        self.settings_now = {}
        self.powers = []
        self.mute = False
        self.station_answers = {}
        self._new = list(evses)
        self._pending = []
        self.changes = []

    async def __aenter__(self):
        self.context = Context(self.settings, "utility", self._take)
        self.client = CsmsClient(self.context, lambda state: self.changes.append(state.stage))
        self.control = asyncio.create_task(self._control())
        await until(lambda: self.context.fleet.complete, "a snapshot")
        self.running = asyncio.create_task(self.client.run())
        return self

    async def __aexit__(self, *_):
        for task in (self.running, self.control):
            task.cancel()
        await asyncio.gather(self.running, self.control, return_exceptions=True)

    def set(self, status):
        self.statuses[status.evse_id] = status
        self._new.append(status)

    def change(self, evse_id, **changes):
        self.set(msgspec.structs.replace(self.statuses[evse_id], **changes))

    def view(self, evse_id="CS1/1"):
        return self.views[evse_id]

    def alarm(self, code):
        """The last word about an alarm; None where it never was or is cleared."""
        last = [m for m in self.told if isinstance(m, Alarm) and m.code == code]
        return last[-1] if last and last[-1].active else None

    def of(self, kind, **fields):
        return [
            m
            for m in self.requests
            if m.kind is kind and all(getattr(m, key) == value for key, value in fields.items())
        ]

    def in_force(self):
        """What the control holds now: (target, kind) → value."""
        return {(r.target, str(r.kind)): r.value for r in self.standing}

    async def connected(self):
        await until(lambda: self.client.state.stage == "connected", "the connection")

    def _take(self, message):
        if isinstance(message, ControlRequest):
            self.requests.append(message)
            if not self.mute:
                self._pending.append(message)
        elif isinstance(message, StationCall):
            answer = self.station_answers.get(message.action, b"{}")
            reply = StationAnswer(message.request_id, message.station, answer)
            asyncio.get_running_loop().call_soon(self.context.take, reply)
            self.told.append(message)
        elif isinstance(message, Alarm | AuditEvent | StationAnswer):
            self.told.append(message)

    async def _control(self):
        complete_s = 0.0
        while True:
            now = Now(time.monotonic(), time.time(), True)
            new, self._new = {each.evse_id: each for each in self._new}, []
            pending, self._pending = self._pending, []
            measurement = Measurement(
                "MU", now.utc_s, self.f_hz, 0.0, 230.0, Validity.GOOD, now.mono_s, now.mono_s,
                uncertainty_hz=1e-4, v_phase_v=(230.0,) * 3, smp_synch=2,
            )  # fmt: skip
            inputs = Inputs(
                measurements=(measurement,), evses=tuple(new.values()), requests=tuple(pending)
            )
            self.state, outputs = step(self.state, inputs, now)
            for order in outputs.setpoints:
                self.change(order.evse_id, p_w=order.p_w, setpoint_w=order.p_w)
            self.views.update({view.evse_id: view for view in outputs.evses})
            self.loop_view, self.standing = outputs.loop, outputs.requests
            self.settings_now = outputs.settings
            self.powers.append((now.mono_s, outputs.loop.ordered_w, outputs.loop.droop_w))
            for outcome in outputs.outcomes:
                self.outcomes.append(outcome)
                self.context.take(outcome)
            if now.mono_s - complete_s > 0.1:
                complete_s = now.mono_s
                self.context.take(
                    Snapshot(
                        now.utc_s, now.mono_s, measurement, outputs.loop,
                        tuple(self.views.values()), True, outputs.alarms, (),
                        requests=outputs.requests, settings=outputs.settings,
                        clock_synchronised=True,
                    )
                )  # fmt: skip
            await asyncio.sleep(0.02)


@pytest.fixture
def make_site(tmp_path):
    numbers = itertools.count(1)

    def make(csms=None, evses=(), **options):
        url = csms.url if csms is not None else options.pop("url")
        folder = options.pop("folder", tmp_path / f"site{next(numbers)}")
        return Site(folder, evses, url=url, **options)

    return make


def limit_profile(watts, evse=1, **more):
    """SetChargingProfile of 2.x with one limit."""
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
        **more.pop("schedule", {}),
    }
    profile = {
        "id": 10,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **more,
    }
    return {"evseId": evse, "chargingProfile": profile}


def setpoint_profile(wire_w, evse=1, duration=None, kind="Dynamic", **more):
    """SetChargingProfile of 2.1 with a signed setpoint (negative discharges)."""
    period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": wire_w}
    schedule = {"chargingSchedulePeriod": [period]}
    if duration is not None:
        schedule["duration"] = duration
    more = {"chargingProfileKind": kind, **more}
    return limit_profile(0, evse, schedule=schedule, **more)


class Pki:
    """An authority, a server, clients, and a revocation list."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.certificate = self._sign(self.name, self.key, ca=True)
        self.ca = self._write("ca.pem", self._pem(self.certificate))
        self.server = self.issue("server", "localhost", dns="localhost")

    def issue(self, file, name, dns=None, start_days=-1, end_days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, dns=dns, start=start_days, end=end_days)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self._write(f"{file}.crt", self._pem(certificate)), self._write(f"{file}.key", pem)

    def revoking(self, *paths):
        """Return a file with the authority and its list on which these certificates are."""
        moment = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(moment - datetime.timedelta(days=1))
            .next_update(moment + datetime.timedelta(days=1))
        )
        for path in paths:
            serial = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
            builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return self._write("ca-crl.pem", self.ca.read_bytes() + crl)

    def server_context(self, mutual=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(str(self.ca))
        return context

    def _sign(self, subject, key, ca=False, dns=None, start=-1, end=30):
        moment = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment + datetime.timedelta(days=start))
            .not_valid_after(moment + datetime.timedelta(days=end))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if dns:
            names = x509.SubjectAlternativeName([x509.DNSName(dns)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    @staticmethod
    def _pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path / "pki")


@pytest.fixture
def tools():
    """What tests of this folder share."""

    class Tools:
        pass

    tools = Tools()
    for each in (evse, until, Csms, Site, limit_profile, setpoint_profile, replace):
        setattr(tools, each.__name__, staticmethod(each))
    tools.Outcome = RequestOutcome
    return tools
