"""Has stations' certificate requests signed by the site's CA, and sends the result.

The CA's key never lives in this process, which faces the stations: a program named in the
configuration signs, reading the CSR on its standard input and writing the chain to its output.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.errors import RefusedError
from agent.ocpp import Payload
from agent.vehicles.stations.dialect import SignRequest

TIMEOUT_S: Final = 60.0
MAX_CHAIN: Final = 10_000
"""Characters of `certificateChain` in every version."""
MIN_RSA_BITS: Final = 2048
STATION: Final = "ChargingStationCertificate"


def check_csr(pem: str, identity: str, organization: str, certificate_type: str) -> bytes:
    """Return the CSR as PEM if the station may have it signed.

    Raises:
        RefusedError: Not a CSR, its own signature is wrong, the key is weak, or it asks for
            another station's or owner's name (a station's certificate is its identity).
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        valid = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise RefusedError(f"not a certificate signing request: {error}") from error
    if not valid:
        raise RefusedError("the CSR's signature is wrong")
    _check_key(request)
    if certificate_type in {"", STATION}:
        if _names(request, NameOID.COMMON_NAME) != [identity]:
            raise RefusedError("the CSR's common name is not the station's identity")
        if organization and _names(request, NameOID.ORGANIZATION_NAME) != [organization]:
            raise RefusedError("the CSR's organization is not the site's")
    return request.public_bytes(Encoding.PEM)


async def sign(command: Sequence[str], csr: bytes, identity: str, certificate_type: str) -> str:
    """Return the PEM chain that the CA's program makes of a CSR.

    Raises:
        RefusedError: The program failed, took too long, or wrote something else.
    """
    environment = {
        **os.environ,
        "OCPP_STATION": identity,
        "OCPP_CERTIFICATE_TYPE": certificate_type or STATION,
    }
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
    except OSError as error:
        raise RefusedError(f"{command[0]}: {error.strerror}") from error
    try:
        output, errors = await asyncio.wait_for(process.communicate(csr), TIMEOUT_S)
    except TimeoutError as error:
        process.kill()
        raise RefusedError(f"{command[0]} took longer than {TIMEOUT_S:.0f} s") from error
    if process.returncode != 0:
        text = errors.decode("utf-8", "replace").strip()[-200:]
        raise RefusedError(f"{command[0]} ended with {process.returncode}: {text}")
    return _chain(output, command[0])


def signed_request(chain: str, wish: SignRequest, with_type: bool) -> Payload:
    """Return the CertificateSigned payload; 1.6 has no type."""
    payload: Payload = {"certificateChain": chain}
    if with_type and wish.certificate_type:
        payload["certificateType"] = wish.certificate_type
    if wish.request_id is not None:
        payload["requestId"] = wish.request_id
    return payload


def _check_key(request: x509.CertificateSigningRequest) -> None:
    key = request.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= 224:
        return
    raise RefusedError("the CSR's key is weaker than RSA 2048 or ECC 224 (A00.FR.501)")


def _names(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in request.subject.get_attributes_for_oid(oid)]


def _chain(output: bytes, program: str) -> str:
    try:
        x509.load_pem_x509_certificates(output)
        chain = output.decode("ascii")
    except (ValueError, UnicodeDecodeError) as error:
        raise RefusedError(f"{program} wrote no certificate: {error}") from error
    if len(chain) > MAX_CHAIN:
        raise RefusedError(f"the chain has {len(chain)} characters; OCPP carries {MAX_CHAIN}")
    return chain
