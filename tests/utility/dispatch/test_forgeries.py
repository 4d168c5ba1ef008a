"""Forged and replayed tokens by the thousand: none is accepted."""

import asyncio
import base64
import hmac
import json
import math
import random

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.errors import SignatureError
from tests.utility.dispatch.conftest import NOW, b64, claims_of, jws

GENUINE_EVERY = 50
HOUR = 3600.0


class Forger:
    """Knows every genuine token that was sent, the public key, and one stolen unsent token."""

    def __init__(self, key, seed):
        self.dice = random.Random(seed)
        self.pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.own = ec.generate_private_key(ec.SECP256R1())
        self.own_ed = ed25519.Ed25519PrivateKey.generate()
        self.seen = []
        self.late = jws(key, claims_of(10**9, now=NOW - HOUR))
        self.early = jws(key, claims_of(10**9, now=NOW + HOUR))
        self.elsewhere = jws(key, claims_of(10**9, aud="V2G2"))

    def forge(self, number):
        kinds = [
            self.replay, self.flip, self.swap_payload, self.swap_signature, self.none, self.hmac,
            self.own_key, self.own_jwk, self.malleable, self.splice, self.reorder, self.stale,
        ]  # fmt: skip
        return self.dice.choice(kinds)(10**6 + number)

    def any(self):
        return self.dice.choice(self.seen)

    def replay(self, _):
        return self.any()

    def flip(self, _):
        token = self.any()
        at = self.dice.randrange(len(token) - 1)
        return token[:at] + self.dice.choice("ABCwxyz019-_.") + token[at + 1 :]

    def swap_payload(self, number):
        header, _, signature = self.any().split(".")
        return f"{header}.{b64(json.dumps(claims_of(number)).encode())}.{signature}"

    def swap_signature(self, _):
        header, payload, _ = self.any().split(".")
        return f"{header}.{payload}.{b64(self.dice.randbytes(64))}"

    def none(self, number):
        return jwt.encode(claims_of(number), None, "none") + self.dice.choice(["", "AA"])

    def hmac(self, number):
        header, payload = {"alg": "HS256"}, claims_of(number)
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
        return f"{text}.{b64(hmac.digest(self.pem, text.encode(), 'sha256'))}"

    def own_key(self, number):
        return jws(self.dice.choice([self.own, self.own_ed]), claims_of(number))

    def own_jwk(self, number):
        point = self.own.public_key().public_numbers()
        x, y = (b64(value.to_bytes(32, "big")) for value in (point.x, point.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        return jws(self.own, claims_of(number), {"alg": "ES256", "jwk": jwk})

    def malleable(self, _):
        """(r, n − s) is as good a signature of the same token as (r, s)."""
        header, payload, signature = self.any().split(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        s = order - int.from_bytes(raw[32:], "big")
        return f"{header}.{payload}.{b64(raw[:32] + s.to_bytes(32, 'big'))}"

    def splice(self, _):
        (a, b, c), (d, e, f) = self.any().split("."), self.any().split(".")
        return ".".join(self.dice.choice([(a, e, c), (a, b, f), (d, b, f), (a, e, f)]))

    def reorder(self, _):
        parts = self.any().split(".")
        self.dice.shuffle(parts)
        return ".".join(parts)

    def stale(self, _):
        return self.dice.choice([self.late, self.early, self.elsewhere])


def campaign(site, key, count, restarts):
    """Return (refused, accepted forgeries, genuine) of `count` forgeries among genuine tokens."""
    forger = Forger(key, seed=count)
    refused = accepted = genuine = 0

    async def run():
        nonlocal refused, accepted, genuine
        site.context.fleet.heard_s = math.inf  # the control is there, however slow this machine
        for number in range(count):
            if number % GENUINE_EVERY == 0:
                genuine += 1
                token = jws(key, claims_of(genuine))
                assert (await site.desk.take(token, "192.0.2.1")).ok
                forger.seen.append(token)
            if number % restarts == restarts - 1:
                site.ledger.close()
                site.start()
                site.context.fleet.heard_s = math.inf
            try:
                await site.desk.take(forger.forge(number), "203.0.113.66")
                accepted += 1
            except SignatureError:
                refused += 1

    asyncio.run(run())
    assert len(site.requests) == genuine
    return refused, accepted, genuine


def test_a_thousand_forgeries_and_replays_are_refused(site, key):
    assert campaign(site, key, 1000, restarts=250) == (1000, 0, 20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_forgeries_and_replays_are_refused(site, key, record_property):
    refused, accepted, genuine = campaign(site, key, 100_000, restarts=5_000)
    record_property("refused", refused)
    record_property("accepted", accepted)
    record_property("genuine tokens among them", genuine)
    assert (refused, accepted) == (100_000, 0)
