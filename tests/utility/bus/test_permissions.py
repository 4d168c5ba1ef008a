"""TLS and permissions of the shipped broker files: a gateway speaks for itself and nobody else."""

from __future__ import annotations

import asyncio
import datetime
import re
from pathlib import Path

import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.config import Bus, Fleet
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.coordinator import Coordinator
from agent.utility.bus.fleet_model import AREA, GATEWAY, SHARE, Area, Share
from agent.utility.bus.identity import READING, Identity
from agent.utility.bus.jetstream import stream_config
from agent.utility.bus.nats_link import FAULTS, connection
from tests.utility.bus.brokers import Mosquitto, NatsServer
from tests.utility.bus.conftest import MRID, running, until
from tests.utility.bus.test_allocation import RULES, report
from tests.utility.bus.test_jetstream import assert_all_once_in_order

pytestmark = pytest.mark.peer

SHIPPED = Path(__file__).resolve().parents[3] / "packaging" / "bus"
OTHER = "11111111-2222-5333-8444-555555555555"


class Pki:
    """An authority, a server certificate for 127.0.0.1, and clients by their common names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("area CA")
        certificate = self._sign("ca", self._key, self._name, ca=True)
        self._write("ca", certificate, self._key)
        self.issue("server", server=True)

    def issue(self, name: str, *, server: bool = False) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, self._sign(name, key, _name(name), server=server), key)

    def settings(self, name: str, **values) -> Bus:
        self.issue(name)
        return Bus(
            ca=self.folder / "ca.crt", certificate=self.folder / f"{name}.crt",
            key=self.folder / f"{name}.key", commit_s=0.02, **values,
        )  # fmt: skip

    def _sign(self, name, key, subject, *, ca=False, server=False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False)
        )  # fmt: skip
        if ca:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True,
                content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        if server:
            import ipaddress

            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            names = x509.SubjectAlternativeName([address])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name, certificate, key) -> None:
        pem = serialization.Encoding.PEM
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(pem, form, serialization.NoEncryption())
        (self.folder / f"{name}.key").write_bytes(secret)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@pytest.fixture
def pki(tmp_path) -> Pki:
    (tmp_path / "pki").mkdir()
    return Pki(tmp_path / "pki")


@pytest.fixture
def secured_nats(tmp_path, pki):
    (tmp_path / "nats").mkdir()
    text = (SHIPPED / "nats-server.conf").read_text().replace("/etc/nats/pki", str(pki.folder))
    text = re.sub(r"listen:.*\n", "", text)
    text = re.sub(r"jetstream \{.*?\}", "", text, count=1, flags=re.S)
    server = NatsServer(tmp_path / "nats", config=text)
    server.start()
    yield server
    server.close()


@pytest.fixture
def secured_mosquitto(tmp_path, pki):
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    (folder / "v2g.acl").write_text((SHIPPED / "mosquitto.acl").read_text())
    server = Mosquitto(folder)
    text = (SHIPPED / "mosquitto.conf").read_text().split("# What was acknowledged")[0]
    text = text.replace("listener 8883", f"listener {server.port} 127.0.0.1")
    text = text.replace("/etc/mosquitto/pki", str(pki.folder))
    server.config = text.replace("/etc/mosquitto/v2g.acl", str(folder / "v2g.acl"))
    server.start()
    yield server
    server.close()


async def prepare(settings: Bus, identity: Identity) -> None:
    """What the operator does once: the gateway's stream, the bucket, a share."""
    async with connection(settings, "operator") as (client, _):
        await client.jetstream().add_stream(stream_config(identity))
        bucket = await Bucket.open(client, Fleet().bucket, create=True)
        await bucket.write(AREA, Area(inertia_s=4.0, power_w=1e9))
        share = Share(version=1, lease_s=10, inertia_s=4, gain_w_per_hz=1)
        await bucket.write(SHARE + MRID, share)


async def test_nats_a_gateway_publishes_and_reports_with_its_own_certificate_only(
    tmp_path, secured_nats, pki, identity
):
    url = f"tls://127.0.0.1:{secured_nats.port}"
    await prepare(pki.settings("operator", nats=url), identity)
    own = pki.settings("V2G1", nats=url, create_stream=False)
    async with running(tmp_path, own, identity) as gateway:
        gateway.put(100)
        await until(lambda: gateway.transport.health.acknowledged == 100)
    async with connection(own, "V2G1") as (client, _):
        bucket = await Bucket.open(client, "v2g-fleet", create=False)
        await bucket.write(GATEWAY + MRID, report("V2G1"))
        assert await bucket.read(Share, SHARE + MRID) is not None
        assert await bucket.read(Area, AREA) is not None
        for key in (GATEWAY + OTHER, SHARE + MRID, AREA):
            with pytest.raises(FAULTS):
                await asyncio.wait_for(bucket.write(key, report("V2G1")), 1.0)
    async with connection(pki.settings("scada", nats=url), "scada") as (client, _):
        stream = client.jetstream()
        reader = await stream.subscribe(
            identity.subject(READING), stream=identity.stream, ordered_consumer=True
        )
        heard = [await reader.next_msg(timeout=10.0) for _ in range(100)]
        assert_all_once_in_order(
            [(int(m.headers["V2G-Sequence"]), m.data) for m in heard], gateway.sent
        )
        with pytest.raises(FAULTS):
            await asyncio.wait_for(stream.publish(identity.subject(READING), b"forged"), 1.0)


async def test_nats_the_coordinator_shares_and_does_not_state_the_area(secured_nats, pki, identity):
    url = f"tls://127.0.0.1:{secured_nats.port}"
    await prepare(pki.settings("operator", nats=url), identity)
    async with connection(pki.settings("coordinator", nats=url), "coordinator") as (client, _):
        bucket = await Bucket.open(client, "v2g-fleet", create=False)
        account = await Coordinator(Area(inertia_s=4.0, power_w=1e6), RULES).run_once(bucket)
        assert account is not None
        with pytest.raises(FAULTS):
            await asyncio.wait_for(bucket.write(AREA, Area(inertia_s=9, power_w=1e9)), 1.0)


@pytest.mark.parametrize(
    "subject",
    [f"openfmb.{READING}.{OTHER}", "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.DELETE.V2G-" + MRID,
     "$JS.API.STREAM.PURGE.V2G-" + MRID],
)  # fmt: skip
async def test_nats_a_gateway_can_publish_nowhere_else(secured_nats, pki, subject):
    settings = pki.settings("V2G1", nats=f"tls://127.0.0.1:{secured_nats.port}")
    from agent.utility.bus.link import tls_context

    refused = asyncio.Event()

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            refused.set()

    client = await nats.connect(
        settings.nats, tls=tls_context(settings, settings.nats), error_cb=on_error
    )
    await client.publish(subject, b"{}")
    await asyncio.wait_for(refused.wait(), 10.0)
    await client.close()


async def test_nats_without_a_certificate_of_the_area_nobody_connects(secured_nats, pki):
    url = f"tls://127.0.0.1:{secured_nats.port}"
    with pytest.raises(FAULTS):
        async with connection(Bus(nats=url, ca=pki.folder / "ca.crt"), "stranger"):
            pass


async def test_mqtt_a_gateway_writes_its_own_topics_and_a_refusal_is_no_delivery(
    tmp_path, secured_mosquitto, pki, identity
):
    url = f"mqtts://127.0.0.1:{secured_mosquitto.port}"
    async with running(tmp_path, pki.settings("V2G1", mqtt=url), identity) as gateway:
        gateway.put(50)
        await until(lambda: gateway.transport.health.acknowledged == 50)
        assert gateway.transport.health.refused == 0
    stranger = Identity("V2G2", OTHER)
    (tmp_path / "2").mkdir()
    async with running(tmp_path / "2", pki.settings("V2G1", mqtt=url), stranger) as gateway:
        gateway.put(1)
        await until(lambda: gateway.transport.health.refused > 0)
        assert gateway.transport.health.acknowledged == 0
        assert await gateway.store.position("mqtt") == 0
