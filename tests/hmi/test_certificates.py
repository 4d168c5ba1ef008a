"""Expiry of certificates against a library that this project did not write."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.certificates import expiry, not_after
from agent.config import Settings, Stations
from agent.errors import DecodeError
from agent.messages import Role
from agent.worker import certificate_expiries

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
BEGAN = datetime.datetime(2001, 1, 1)
ENDS = st.datetimes(datetime.datetime(2001, 1, 2), datetime.datetime(2079, 12, 31))


def certificate(ends: datetime.datetime) -> x509.Certificate:
    return (
        x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(BEGAN).not_valid_after(ends)
        .sign(KEY, hashes.SHA256())
    )  # fmt: skip


def pem(*ends: datetime.datetime) -> bytes:
    made = (certificate(each).public_bytes(serialization.Encoding.PEM) for each in ends)
    return b"".join(made)


@settings(max_examples=40, deadline=None)
@given(ENDS)
def test_the_end_is_the_librarys_in_both_forms_of_time(ends):
    ends = ends.replace(microsecond=0)
    made = certificate(ends)
    der = made.public_bytes(serialization.Encoding.DER)
    assert not_after(der) == made.not_valid_after_utc.timestamp()


def test_of_a_chain_the_earliest_counts_and_workers_tell_it(tmp_path):
    path = tmp_path / "server.crt"
    early, late = datetime.datetime(2030, 5, 1), datetime.datetime(2060, 1, 1)
    path.write_bytes(b"some text\n" + pem(late, early))
    expected = early.replace(tzinfo=datetime.UTC).timestamp()
    assert expiry(path) == expected
    configured = Settings(path=path, stations=Stations(certificate=path, key=path))
    assert certificate_expiries(configured, Role.STATIONS) == {
        "expires_utc_s:certificate": expected
    }
    assert certificate_expiries(configured, Role.IED) == {}


@given(st.binary(max_size=200))
def test_rubbish_is_a_decode_error_and_nothing_else(data):
    with pytest.raises(DecodeError):
        not_after(data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(0, 255))
def test_a_changed_octet_never_raises_anything_else(place, value):
    der = bytearray(certificate(datetime.datetime(2030, 1, 1)).public_bytes(
        serialization.Encoding.DER))  # fmt: skip
    der[place] = value
    try:
        not_after(bytes(der))
    except DecodeError:
        pass
