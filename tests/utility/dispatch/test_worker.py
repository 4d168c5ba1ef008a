"""A signed dispatch through the real processes: HTTPS, utility worker, daemon, station."""

import json
import ssl

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.clock import read_clock
from agent.messages import RequestKind, Role
from agent.utility.dispatch.sign import sign
from agent.utility.dispatch.token import Order
from tests.gateway.conftest import daemon, evse_status, measurement, wait_for, worker
from tests.utility.certificates import Authority
from tests.utility.processes import UtilityProcess, free_port

__all__ = ["daemon", "worker"]
KEY = ec.generate_private_key(ec.SECP256R1())


class Gateway:
    """A daemon, a utility worker of its own process, and a client with a certificate."""

    def __init__(self, daemon, folder):
        self.daemon, self.folder = daemon, folder
        self.port = free_port()
        authority = Authority(folder)
        pem, private = authority.issue("gateway")
        pair = authority.issue("sender")
        public = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "signer.pub").write_bytes(KEY.public_key().public_bytes(*public))
        with daemon.config.open("a") as config:
            config.write(
                f"[utility]\napi_port = {self.port}\napi_certificate = '{pem}'\n"
                f"api_key = '{private}'\napi_client_ca = '{authority.pem}'\n"
                "[dispatch]\npublic_key = 'signer.pub'\nissuer = 'tso.example'\n"
                "accept_unsynchronised_clock = ACCEPT\n"
            )
        context = ssl.create_default_context(cafile=authority.pem)
        context.load_cert_chain(*pair)
        self.client = httpx.Client(verify=context, timeout=30, trust_env=False)
        self.worker = UtilityProcess(daemon.config, self.port)

    def configure(self, accept):
        text = self.daemon.config.read_text().replace("ACCEPT", str(accept).lower())
        self.daemon.config.write_text(text)

    def post(self, token):
        headers = {"content-type": "application/jose"}
        url = f"https://127.0.0.1:{self.port}/dispatch/v1"
        return self.client.post(url, content=token, headers=headers)


@pytest.fixture
def gateway(daemon, tmp_path):
    made = Gateway(daemon, tmp_path)
    yield made
    made.client.close()
    made.worker.kill()
    assert daemon.stop() == 0


@pytest.fixture
def running(gateway):
    gateway.configure(accept=True)
    gateway.daemon.start()
    gateway.worker.start()
    return gateway.daemon


def a_token(value=3000.0, **more):
    order = Order(RequestKind.WATT_SETPOINT, 60.0, value)
    return sign(KEY, [order], issuer="tso.example", audience="V2G1", **more)


def accepted(gateway, beat):
    """Send fresh tokens until the record of used ones has begun and takes them."""

    def answer():
        beat()
        token = a_token()
        reply = gateway.post(token)
        return (token, reply.json()) if reply.status_code == 200 else None

    return wait_for(answer, 40.0, 0.3)


@pytest.mark.timeout(180)
def test_a_dispatch_moves_the_vehicles_once_and_survives_kill_9(running, gateway, worker):
    bus, stations = worker(Role.PROCESS_BUS), worker(Role.STATIONS)

    def beat():
        bus.link.send(measurement(50.0))
        stations.link.send(evse_status())

    beat()
    token, answer = accepted(gateway, beat)
    assert answer["ok"], answer
    assert answer["orders"][0]["status"] == "accepted"

    def ordered():
        beat()
        return [order for order in stations.setpoints() if order.p_w > 2900.0]

    assert wait_for(ordered, 40.0, 0.02)
    assert gateway.post(token).status_code == 401
    gateway.worker.kill()
    gateway.worker.start()
    replies = [wait_for(lambda: replay(gateway, token, beat), 40.0, 0.2) for _ in range(3)]
    assert all(reply.startswith("Payload Signature Invalid: replay") for reply in replies)
    lines = wait_for(lambda: refusals(running), 20.0, 0.1)
    assert any("Payload Signature Invalid: replay: jti" in line["what"] for line in lines)
    orders = [line for line in running.audit if line["kind"] == "command"]
    names = [line["what"].partition(":")[2].partition("/")[0] for line in orders]
    assert names
    assert len(names) == len(set(names))


def replay(gateway, token, beat):
    beat()
    reply = gateway.post(token)
    assert reply.status_code in (401, 503), reply.text
    return reply.json()["error"] if reply.status_code == 401 else None


def refusals(daemon):
    return [line for line in daemon.audit if line["kind"] == "refusal"]


@pytest.mark.skipif(read_clock().synchronised, reason="this machine's clock is synchronised")
def test_while_the_clock_is_not_synchronised_the_log_says_what_to_do(gateway):
    gateway.configure(accept=False)
    gateway.daemon.start()
    gateway.worker.start()

    def reply():
        answer = gateway.post(a_token())
        return answer if answer.status_code != 503 else None

    answer = wait_for(reply, 40.0, 0.3)
    assert answer.status_code == 401
    start = "Payload Signature Invalid: clock skew: this gateway's clock is not synchronised"
    assert answer.json()["error"].startswith(start)
    log = gateway.worker.end()
    assert start in log
    assert "timedatectl set-ntp true" in log
    status = json.loads(gateway.daemon.ctl("status", "--json").stdout)
    assert any("Payload Signature Invalid" in str(alarm) for alarm in status["alarms"])
