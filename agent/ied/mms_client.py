"""Associations as an MMS client: for the tool, and for what we take from other IEDs."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Final

from open61850.mms import MmsClient
from open61850.mms.association import (
    AssociationParameters,
    association_request,
    decode_association_response,
)
from open61850.mms.transport import IsoConnection, connection_request, recv_tpkt, send_tpkt

from agent.errors import ConfigurationError, Finding, UnavailableError

PORT: Final = 102
TLS_PORT: Final = 3782


def connect(
    host: str, port: int = 0, timeout_s: float = 5.0, tls: ssl.SSLContext | None = None
) -> MmsClient:
    """Associate with a server.

    Args:
        host: Its name or address.
        port: 0 takes the standard's: 102, with TLS 3782.
        timeout_s: For the connection and for each request.
        tls: From `client_context`; None speaks plain MMS.

    Raises:
        MmsError: It refuses, or is no MMS server.
        OSError: It cannot be reached, or its certificate is not accepted.
    """
    if tls is None:
        return MmsClient.connect(host, port or PORT, timeout=timeout_s)
    raw = socket.create_connection((host, port or TLS_PORT), timeout=timeout_s)
    try:
        return _associate(tls.wrap_socket(raw, server_hostname=host), host, timeout_s)
    except BaseException:
        raw.close()
        raise


def client_context(ca: Path, certificate: Path | None, private_key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer that trusts `ca`.

    Raises:
        ConfigurationError: A file is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca))
    except (OSError, ValueError) as error:
        raise ConfigurationError((Finding(str(ca), str(error)),)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # certificates of IEDs name the IED, not its address
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, private_key)
        except (OSError, ValueError) as error:
            raise ConfigurationError((Finding(str(certificate), str(error)),)) from error
    return context


def _associate(stream: ssl.SSLSocket, host: str, timeout_s: float) -> MmsClient:
    """COTP and the association on a stream that is already connected."""
    send_tpkt(stream, connection_request())
    confirmed = recv_tpkt(stream)
    connection = IsoConnection(stream)
    if confirmed is not None:
        connection.send(association_request(AssociationParameters()))
    answer = connection.recv() if confirmed is not None else None
    if answer is None:
        raise UnavailableError(f"{host} refused the association")
    stream.settimeout(None)
    client = MmsClient(
        connection, request_timeout=timeout_s, association=decode_association_response(answer)
    )
    client._start()
    return client
