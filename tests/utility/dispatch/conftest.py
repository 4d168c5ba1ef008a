"""A signer, a gateway that trusts it, and a control that says yes."""

import asyncio
import base64
import json
import math
import time
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from agent.config import Settings
from agent.messages import (
    Alarm,
    AuditEvent,
    ControlRequest,
    LoopView,
    RequestOutcome,
    RequestStatus,
    Snapshot,
)
from agent.utility.context import Context
from agent.utility.dispatch.desk import DispatchDesk
from agent.utility.dispatch.ledger import Ledger
from agent.utility.dispatch.token import Verifier

ISSUER, AUDIENCE = "tso.example", "V2G1"
NOW = 1_800_000_000.0
LOOP = LoopView(
    "on", 50.0, 0.01, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.inf, "", 1.0, None, 0, 0, 0
)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(number=1, now=NOW, **more):
    order = {"kind": "watt-setpoint", "value": 5000.0, "lease_s": 60.0}
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 30,
        "jti": f"t-{number}",
        "ctr": number,
        "orders": [order],
        **more,
    }


def jws(key, claims, header=None, payload=None):
    """Sign by hand: RFC 7515 section 5.1 with nothing but `cryptography`."""
    ed = isinstance(key, ed25519.Ed25519PrivateKey)
    header = header if header is not None else {"alg": "EdDSA" if ed else "ES256"}
    payload = payload if payload is not None else json.dumps(claims).encode()
    text = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    if ed:
        signature = key.sign(text.encode())
    else:
        r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{text}.{b64(signature)}"


@dataclass
class Site:
    """A desk with a control behind it that accepts everything; `utc` is its wall clock."""

    folder: object
    verifier: Verifier
    synchronised: bool = True
    accept_unsynchronised: bool = False
    utc: float = NOW
    told: list = field(default_factory=list)
    final: RequestStatus = RequestStatus.COMPLETED

    def start(self):
        """Make a desk as a start of the process does, from what is on the disk."""
        self.context = Context(Settings(path=self.folder / "agent.toml"), "utility", self._send)
        self.ledger = Ledger(self.folder / "utility.dispatch")
        self.desk = DispatchDesk(
            self.context,
            self.verifier,
            self.ledger,
            accept_unsynchronised=self.accept_unsynchronised,
            utc_s=lambda: self.utc,
        )
        self.snapshot()
        return self

    def snapshot(self):
        reason = "" if self.synchronised else "no time service disciplines the clock"
        self.context.take(
            Snapshot(
                NOW,
                time.monotonic(),
                None,
                LOOP,
                (),
                True,
                (),
                (),
                clock_synchronised=self.synchronised,
                clock_reason=reason,
            )
        )

    def _send(self, message):
        self.told.append(message)
        if isinstance(message, ControlRequest):
            loop = asyncio.get_running_loop()
            for status in (RequestStatus.ACCEPTED, self.final):
                outcome = RequestOutcome(message.request_id, status)
                loop.call_soon(self.context.take, outcome)

    def of(self, kind):
        return [message for message in self.told if isinstance(message, kind)]

    @property
    def requests(self):
        return self.of(ControlRequest)

    @property
    def audited(self):
        return [event.text for event in self.of(AuditEvent)]

    @property
    def alarms(self):
        return self.of(Alarm)


@pytest.fixture(scope="session")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def verifier(key):
    return Verifier(key.public_key(), "ES256", ISSUER, AUDIENCE)


@pytest.fixture
def site(tmp_path, verifier):
    site = Site(tmp_path, verifier).start()
    site.ledger.begin(NOW - 7200.0)
    return site
