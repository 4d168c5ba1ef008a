"""The TLS front against OpenSSL's own client: suites, versions, renegotiation, resumption."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from open61850.mms.transport import connection_request, recv_tpkt, send_tpkt

from agent.ied.front import Limits
from agent.ied.front.tls import TlsGate
from tests.ied.test_front_tls import Site, _replace, associate, site

__all__ = ["site"]

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command"),
]
WEAK = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-CCM8",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "NULL-SHA256",
)
STRONG = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)


@pytest.fixture(scope="module")
def client_files(site: Site) -> list[str]:
    certificate = site.authority.issue("s_client", role=0)
    path = site.folder / "s_client.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files = {"-cert": path, "-key": site.folder / "key.pem", "-CAfile": site.folder / "ca.pem"}
    return [str(part) for pair in files.items() for part in pair]


@pytest.fixture(scope="module")
def front(
    site: Site, package_server: Any, station_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("front")
    gate = TlsGate(site.files(), {})
    limits = Limits(handshake_s=60.0, per_address=100)
    with package_server.serve("open61850", station_file, folder, gate=gate, limits=limits) as live:
        yield live


def s_client(port: int, files: list[str], *options: str, typed: str = "") -> str:
    """What OpenSSL's client prints."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *files, *options],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def agreed(text: str) -> bool:
    return "Cipher is (NONE)" not in text and "Verify return code: 0" in text


@pytest.mark.parametrize("suite", STRONG)
def test_forward_secret_aead_suites_are_agreed(front: Any, client_files: Any, suite: str) -> None:
    text = s_client(front.port, client_files, "-tls1_2", "-cipher", suite)
    assert agreed(text)
    assert f"Cipher is {suite}" in text


@pytest.mark.parametrize("suite", WEAK)
def test_weak_suites_are_refused(front: Any, client_files: Any, suite: str) -> None:
    text = s_client(front.port, client_files, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert "CONNECTED" in text
    assert "no ciphers available" not in text, "the client has offered it"
    assert not agreed(text)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(front: Any, client_files: Any, version: str) -> None:
    text = s_client(front.port, client_files, version, "-cipher", "ALL:@SECLEVEL=0")
    assert not agreed(text)


def test_a_renegotiation_is_refused_and_ends_the_connection(front: Any, client_files: Any) -> None:
    text = s_client(front.port, client_files, "-tls1_2", typed="R\n")
    assert "RENEGOTIATING" in text
    assert "no renegotiation" in text


def test_there_are_no_tickets_and_tls_1_3_resumes_nothing(front: Any, client_files: Any) -> None:
    for version in ("-tls1_2", "-tls1_3"):
        text = s_client(front.port, client_files, version)
        assert agreed(text)
        assert "TLS session ticket:" not in text
        assert "Post-Handshake New Session Ticket" not in text


def resumed(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Any:
    """A TLS 1.2 stream that offers a session."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    return context.wrap_socket(raw, session=session)


def begun(port: int, context: ssl.SSLContext) -> ssl.SSLSession | None:
    """A session that was ended as TLS wants it, so that both sides keep it."""
    with resumed(port, context, None) as stream:
        assert answers(stream)
        session = stream.session
        with contextlib.suppress(OSError):
            stream.unwrap()
        return session


def test_whoever_resumes_a_session_is_judged_again(site: Site, front: Any) -> None:
    short = site.authority.issue("leaves soon", role=0, end=dt.timedelta(seconds=10))
    ends_s = time.monotonic() + 10.0
    context = site.context(short, ssl.TLSVersion.TLSv1_2)
    session = begun(front.port, context)
    with resumed(front.port, context, session) as again:
        assert again.session_reused
        assert answers(again)
    time.sleep(max(0.0, ends_s + 1.0 - time.monotonic()))
    try:
        with resumed(front.port, context, session) as late:
            assert not answers(late)
    except OSError:
        pass  # closed as early as during the handshake


def test_a_new_revocation_list_ends_every_session(site: Site, front: Any, until: Any) -> None:
    certificate = site.authority.issue("resumes", role=0)
    context = site.context(certificate, ssl.TLSVersion.TLSv1_2)
    session = begun(front.port, context)
    loaded = front.front._gates[0].context
    _replace(site.folder / "crl.pem", site.authority.revoke(certificate))
    until(lambda: front.front._gates[0].context is not loaded)
    with pytest.raises(OSError), resumed(front.port, context, session) as again:
        assert not again.session_reused
        if not answers(again):
            raise ConnectionResetError
    _replace(site.folder / "crl.pem", site.authority.revoke())


def answers(stream: Any) -> bool:
    """The front confirms a COTP connection."""
    try:
        send_tpkt(stream, connection_request())
        return recv_tpkt(stream) is not None
    except OSError:
        return False


def test_compression_is_off(front: Any, client_files: Any) -> None:
    text = s_client(front.port, client_files, "-tls1_2", "-comp")
    assert "Compression: NONE" in text


def test_an_association_ends_when_its_session_is_as_old_as_it_may_be(
    site: Site, server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    limits = Limits(tls_session_s=1.0)
    gate = TlsGate(site.files(), {})
    with server("open61850", station_file, tmp_path, gate=gate, limits=limits) as live:
        certificate = site.authority.issue("v", role=0)
        client = associate(live.port, site.context(certificate, ssl.TLSVersion.TLSv1_3))
        assert client.read("V2G1LD0/LLN0$ST$Beh")
        until(lambda: not client.is_connected)
        associate(live.port, site.context(certificate, ssl.TLSVersion.TLSv1_3)).close()
