"""Security profiles 0 to 3 on real sockets with a real PKI; identities, take-over, limits, 0x22."""

import asyncio
import base64
import os
import ssl
import sys

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from agent.errors import RefusedError
from agent.ocpp import Version
from agent.vehicles.stations import certificates
from agent.vehicles.stations.dialect import Policy, SignRequest
from agent.vehicles.stations.passwords import load_passwords, new_line

PASSWORD = "correct horse battery staple"


def basic(name, password):
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"additional_headers": {"Authorization": f"Basic {token}"}}


@pytest.fixture
def passwords(tmp_path):
    path = tmp_path / "passwords"
    path.write_text("# stations\n" + new_line("CS1", PASSWORD) + "\n")
    return path


async def refused(attempt):
    """The HTTP status with which an attempt to connect is refused."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        await attempt
    return caught.value.response.status_code


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ({}, 401),
        (basic("CS1", "wrong"), 401),
        (basic("CS2", PASSWORD), 401),
        ({"additional_headers": {"Authorization": "Basic !!!"}}, 401),
        ({"additional_headers": {"Authorization": "Bearer x"}}, 401),
        (basic("CS1", PASSWORD), None),
    ],
)
def test_profile_1_asks_for_the_stations_password(site, passwords, credentials, status):
    async def scenario():
        async with site(security_profile=1, passwords=passwords) as here:
            if status:
                assert await refused(here.connect("CS1", **credentials)) == status
                assert here.fleet.stations == {}
            else:
                await here.charging("CS1", **credentials)

    asyncio.run(scenario())


def test_an_unknown_name_is_refused_like_a_wrong_password(site, passwords):
    async def scenario():
        async with site(security_profile=1, passwords=passwords) as here:
            assert await refused(here.connect("NOBODY", **basic("NOBODY", ""))) == 401

    asyncio.run(scenario())


def test_guessing_passwords_is_slowed_down(site, passwords):
    async def scenario():
        async with site(security_profile=1, passwords=passwords) as here:
            statuses = [
                await refused(here.connect("CS1", **basic("CS1", f"guess{n}"))) for n in range(14)
            ]
            assert statuses[0] == 401
            assert statuses[-1] == 429
            assert await refused(here.connect("CS1", **basic("CS1", PASSWORD))) == 429

    asyncio.run(scenario())


def test_profile_2_is_tls_with_a_password(site, passwords, pki):
    async def scenario():
        settings = pki.settings(security_profile=2, passwords=passwords)
        async with site(**settings) as here:
            tls = pki.client()
            assert await refused(here.connect("CS1", tls=tls)) == 401
            peer = await here.charging("CS1", tls=tls, **basic("CS1", PASSWORD))
            assert peer.socket.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
            old = pki.client(maximum_version=ssl.TLSVersion.TLSv1_1)
            with pytest.raises((ssl.SSLError, OSError, ValueError)):
                await here.connect("CS1", tls=old)

    asyncio.run(scenario())


def test_profile_3_binds_the_identity_to_the_certificate(site, pki):
    async def scenario():
        settings = pki.settings(security_profile=3, organization="Site")
        async with site(**settings) as here:
            mine = pki.client(pki.issue("cs1", "CS1"))
            await here.charging("CS1", tls=mine)
            assert await refused(here.connect("CS2", tls=mine)) == 401
            stranger = pki.client(pki.issue("other", "CS3", organization="Other"))
            assert await refused(here.connect("CS3", tls=stranger)) == 401
            by_name = pki.client(pki.issue("named", "serial 5", dns="CS4"))
            await here.connect("CS4", tls=by_name)

    asyncio.run(scenario())


def test_profile_3_refuses_strangers_in_the_handshake(site, pki, tmp_path):
    async def scenario():
        async with site(**pki.settings(security_profile=3)) as here:
            other_ca = type(pki)(tmp_path)
            forged = pki.client(other_ca.issue("cs1", "CS1"))
            for tls in (pki.client(), forged):
                with pytest.raises((ssl.SSLError, OSError, websockets.WebSocketException)):
                    peer = await here.connect("CS1", tls=tls)
                    await peer.ask("Heartbeat", {})
            assert here.fleet.stations == {}

    asyncio.run(scenario())


def test_a_revoked_certificate_ends_the_connection_and_the_next_attempt(site, pki):
    async def scenario():
        pair = pki.issue("cs1", "CS1")
        settings = pki.settings(security_profile=3, crl=pki.crl)
        async with site(**settings) as here:
            peer = await here.charging("CS1", tls=pki.client(pair))
            other = await here.charging("CS2", tls=pki.client(pki.issue("cs2", "CS2")))
            pki.revoke(pair[0])
            os.utime(pki.crl, (1, 1))
            here.listeners.reload()
            await asyncio.wait_for(peer.closed.wait(), 10)
            with pytest.raises((ssl.SSLError, OSError, websockets.WebSocketException)):
                again = await here.connect("CS1", tls=pki.client(pair))
                await again.ask("Heartbeat", {})
            assert (await other.ask("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_a_broken_revocation_list_keeps_the_old_one(site, pki):
    async def scenario():
        async with site(**pki.settings(security_profile=3, crl=pki.crl)) as here:
            pki.crl.write_text("nonsense")
            os.utime(pki.crl, (1, 1))
            here.listeners.reload()
            await here.charging("CS1", tls=pki.client(pki.issue("cs1", "CS1")))

    asyncio.run(scenario())


def test_a_station_never_goes_back_to_a_lower_profile(site, pki, passwords):
    async def scenario():
        lower = type(site().settings)(host="127.0.0.1", port=0, security_profile=1)
        settings = pki.settings(security_profile=3, passwords=passwords, listeners=(lower,))
        async with site(**settings) as here:
            peer = await here.connect("CS1", tls=pki.client(pki.issue("cs1", "CS1")))
            await peer.close()
            await here.until(lambda: not here.fleet.connections)
            plain = here.listeners.ports[1]
            status = await refused(here.connect("CS1", port=plain, **basic("CS1", PASSWORD)))
            assert status == 403

    asyncio.run(scenario())


async def attack(here, attempts, **credentials):
    """Try to take a live identity over; return what the attempts met."""
    met = set()
    for _ in range(attempts):
        try:
            intruder = await here.connect("CS1", **credentials)
        except websockets.InvalidStatus as error:
            met.add(error.response.status_code)
        else:
            met.add("in")
            await intruder.close()
    return met


def test_a_live_identity_is_not_taken_over_without_proof(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging("CS1")
            connection = here.fleet.connections["CS1"]
            assert await attack(here, 100) == {409}
            assert here.fleet.connections["CS1"] is connection
            assert (await peer.ask("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


@pytest.mark.soak
def test_a_thousand_take_over_attempts_all_fail(site, passwords):
    async def scenario():
        async with site() as here:
            peer = await here.charging("CS1")
            assert await attack(here, 1000) == {409}
            assert (await peer.ask("Heartbeat", {}))[0] == 3
        async with site(security_profile=1, passwords=passwords) as here:
            peer = await here.charging("CS1", **basic("CS1", PASSWORD))
            assert await attack(here, 1000, **basic("CS1", "wrong")) <= {401, 429}
            assert (await peer.ask("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_a_station_that_proves_itself_replaces_its_dead_connection(site, passwords):
    async def scenario():
        async with site(security_profile=1, passwords=passwords) as here:
            old = await here.charging("CS1", **basic("CS1", PASSWORD))
            new = await here.connect("CS1", **basic("CS1", PASSWORD))
            await asyncio.wait_for(old.closed.wait(), 10)
            assert (await new.ask("Heartbeat", {}))[0] == 3
            assert here.status().online

    asyncio.run(scenario())


def test_a_dead_connection_gives_way_after_a_probe(site, monkeypatch):
    monkeypatch.setattr("agent.vehicles.stations.fleet.PROBE_S", 0.3)

    async def scenario():
        async with site() as here:
            dead = await here.charging("CS1")
            dead.socket.transport.pause_reading()
            assert await refused(here.connect("CS1")) == 409
            await here.until(lambda: "CS1" not in here.fleet.connections)
            dead.socket.transport.abort()
            await here.charging("CS1")

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["//", "x:y", "%00", "n" * 49, "spaced%20name"])
def test_a_path_without_an_identity_is_not_found(site, path):
    async def scenario():
        async with site() as here:
            assert await refused(here.connect(path)) == 404

    asyncio.run(scenario())


def test_without_a_common_version_the_upgrade_is_completed_and_closed(site):
    async def scenario():
        async with site() as here:
            url = f"ws://127.0.0.1:{here.port}/CS1"
            async with websockets.connect(url, proxy=None) as socket:
                assert socket.subprotocol is None
                with pytest.raises(websockets.ConnectionClosedOK):
                    await socket.recv()
            assert here.fleet.stations == {}

    asyncio.run(scenario())


def test_the_newest_common_version_is_chosen(site):
    async def scenario():
        async with site() as here:
            url = f"ws://127.0.0.1:{here.port}/CS1"
            offers = ["ocpp1.6", "ocpp2.1", "ocpp2.0.1"]
            async with websockets.connect(url, subprotocols=offers, proxy=None) as socket:
                assert socket.subprotocol == "ocpp2.1"

    asyncio.run(scenario())


def test_compression_is_declined(site):
    async def scenario():
        async with site() as here:
            peer = await here.connect(compression="deflate")
            assert "Sec-WebSocket-Extensions" not in peer.socket.response.headers

    asyncio.run(scenario())


def test_a_peer_that_never_asks_for_the_upgrade_is_dropped_with_0x22(site):
    async def scenario():
        async with site(handshake_timeout_s=0.3) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"GET /CS1 HTTP/1.1\r\n")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            [error] = await here.until(lambda: here.timeouts)
            address = writer.get_extra_info("sockname")
            assert (error.peer, error.stage) == (f"127.0.0.1:{address[1]}", "websocket")
            assert str(error).startswith("0x22: handshake timeout")
            writer.close()

    asyncio.run(scenario())


def test_a_peer_that_stops_in_the_tls_handshake_is_dropped_with_0x22(site, pki):
    async def scenario():
        settings = pki.settings(security_profile=3, handshake_timeout_s=0.3)
        async with site(**settings) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"\x16\x03\x01")
            await asyncio.wait_for(reader.read(), 10)
            [error] = await here.until(lambda: here.timeouts)
            assert error.stage == "tls"
            writer.close()

    asyncio.run(scenario())


def test_a_station_that_never_says_a_word_is_dropped_with_0x22(site):
    async def scenario():
        async with site(handshake_timeout_s=0.3) as here:
            talking = await here.charging("TALKS")
            silent = await here.connect("SILENT")
            await asyncio.wait_for(silent.closed.wait(), 10)
            [error] = here.timeouts
            assert error.stage == "boot"
            assert not talking.closed.is_set()

    asyncio.run(scenario())


def test_silent_peers_delay_no_station(site, pki):
    async def scenario():
        settings = pki.settings(security_profile=3, handshake_timeout_s=5.0)
        async with site(**settings) as here:
            silent = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(50)]
            peer = await here.charging("CS1", tls=pki.client(pki.issue("cs1", "CS1")))
            await here.order(1000.0)
            await peer.expect("SetChargingProfile", {"status": "Accepted"})
            assert (await here.result()).accepted
            for _, writer in silent:
                writer.close()

    asyncio.run(scenario())


def test_a_station_that_floods_is_disconnected_and_no_other(site):
    async def scenario():
        async with site(messages_per_s=5.0) as here:
            quiet = await here.charging("QUIET")
            loud = await here.connect("LOUD")
            with pytest.raises((websockets.ConnectionClosed, TimeoutError)):
                for _ in range(200):
                    await loud.socket.send("[]")
                await asyncio.wait_for(loud.closed.wait(), 10)
                raise TimeoutError
            assert loud.socket.close_code == 1008
            assert (await quiet.ask("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_one_address_cannot_open_connections_without_end(site):
    async def scenario():
        async with site(connects_per_s=1.0) as here:
            opened = 0
            for number in range(20):
                try:
                    await here.connect(f"CS{number}")
                    opened += 1
                except (OSError, websockets.WebSocketException, EOFError):
                    pass
            assert 10 <= opened <= 12
            assert here.listeners.refused >= 8

    asyncio.run(scenario())


def test_an_oversized_message_ends_its_connection_only(site):
    async def scenario():
        async with site() as here:
            good = await here.charging("GOOD")
            bad = await here.connect("BAD")
            await bad.socket.send("[" + " " * 300_000 + "]")
            await asyncio.wait_for(bad.closed.wait(), 10)
            assert (await good.ask("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_a_message_in_fragments_is_joined(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            text = '[2,"1","Heartbeat",{}]'
            peer.answers["1"] = asyncio.get_running_loop().create_future()
            await peer.socket.send([text[:5], text[5:9], text[9:]])
            assert (await asyncio.wait_for(peer.answers["1"], 10))[0] == 3

    asyncio.run(scenario())


def csr(common_name="CS1", organization="Site", key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_csrs_must_be_the_stations_own():
    certificates.check_csr(csr(), "CS1", "Site", "")
    for bad, why in (
        (csr("CS2"), "identity"),
        (csr(organization="Other"), "organization"),
        (csr(key=rsa.generate_private_key(65537, 1024)), "weaker"),
        ("nonsense", "not a certificate"),
    ):
        with pytest.raises(RefusedError, match=why):
            certificates.check_csr(bad, "CS1", "Site", "ChargingStationCertificate")
    certificates.check_csr(csr("WMIV1234"), "CS1", "Site", "V2GCertificate")


CA_PROGRAM = """
import os, sys
folder = sys.argv[1]
open(folder + "/asked", "w").write(os.environ["OCPP_STATION"] + sys.stdin.read())
sys.stdout.write(open(folder + "/answer").read())
"""


@pytest.mark.parametrize("version", list(Version))
def test_a_csr_is_signed_by_the_sites_ca_program_and_returned(
    site, pki, tmp_path, version, messages
):
    asked = csr()
    (tmp_path / "answer").write_bytes(pki.sign_csr(asked.encode()))
    command = (sys.executable, "-c", CA_PROGRAM, str(tmp_path))

    async def sign(connection, wish: SignRequest):
        identity = connection.station.identity
        chain = await certificates.sign(command, wish.csr.encode(), identity, "")
        payload = certificates.signed_request(chain, wish, connection.station.version.is_2x)
        connection.call("CertificateSigned", payload)

    async def scenario():
        tasks = []
        signer = lambda connection, wish: tasks.append(asyncio.create_task(sign(connection, wish)))  # noqa: E731
        policy = Policy(signs_certificates=True)
        async with site(policy=policy, signer=signer) as here:
            peer = await here.connect(version=version)
            assert (await peer.call("SignCertificate", {"csr": asked}))["status"] == "Accepted"
            message = await peer.expect("CertificateSigned", {"status": "Accepted"})
            chain = x509.load_pem_x509_certificates(message[3]["certificateChain"].encode())
            assert len(chain) == 2
            assert chain[0].issuer == chain[1].subject
            assert (tmp_path / "asked").read_text() == "CS1" + asked

    asyncio.run(scenario())


def test_without_a_ca_a_csr_is_rejected(site):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            answer = await peer.call("SignCertificate", {"csr": csr()})
            assert answer["status"] == "Rejected"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('no key')", "no key"),
        ("print('hello')", "no certificate"),
    ],
)
def test_a_ca_program_that_fails_is_refused_with_its_words(program, why):
    with pytest.raises(RefusedError, match=why):
        asyncio.run(certificates.sign((sys.executable, "-c", program), b"x", "CS1", ""))
    with pytest.raises(RefusedError, match="No such file"):
        asyncio.run(certificates.sign(("/nonexistent/ca",), b"x", "CS1", ""))


def test_the_password_file_reports_every_wrong_line(tmp_path):
    path = tmp_path / "passwords"
    path.write_text("a:b\n\nCS1:00:zz\n" + new_line("ok", "x"))
    with pytest.raises(Exception, match=r":1: expected") as caught:
        load_passwords(path)
    assert len(caught.value.findings) == 2
