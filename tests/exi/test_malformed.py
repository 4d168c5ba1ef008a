"""Malformed input: a typed error, in bounded time and memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.exi import EncodeError, ExiCodec, Namespace
from agent.exi.bits import BitWriter
from agent.exi.codec import MAX_MESSAGE
from tests.exi.samples import Generator, Vector, read_vectors, schema_folder

FOLDER = schema_folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="the iso15118 package is not installed")

VECTORS = read_vectors()
CODEC = ExiCodec(FOLDER) if FOLDER else None


def decode(vector: Vector, data: bytes) -> dict[str, Any] | None:
    assert CODEC is not None
    decoder = CODEC.decode_fragment if vector.is_fragment else CODEC.decode
    try:
        return decoder(data, vector.namespace)
    except DecodeError:
        return None


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x80", b"$EXI\x80", b"\xa0\x00", b"\x80\xff\xff"])
def test_what_is_no_message_is_a_decode_error(codec: ExiCodec, data: bytes) -> None:
    for namespace in Namespace:
        with pytest.raises(DecodeError):
            codec.decode(data, namespace)
        with pytest.raises(DecodeError):
            codec.decode_fragment(data, namespace)


def test_every_truncation_is_a_decode_error(vectors: list[Vector]) -> None:
    for vector in vectors[::9]:
        for length in range(len(vector.data)):
            assert decode(vector, vector.data[:length]) is None, (vector, length)


def test_octets_after_the_message_are_a_decode_error(vectors: list[Vector]) -> None:
    for vector in vectors[::9]:
        assert decode(vector, vector.data + b"\0") is None


def test_an_unknown_namespace_is_an_error(codec: ExiCodec) -> None:
    with pytest.raises(DecodeError, match="no schema"):
        codec.decode(b"\x80\x00", "urn:example")
    with pytest.raises(EncodeError, match="no schema"):
        codec.encode({"X": {}}, "urn:example")


def test_the_error_names_the_element(codec: ExiCodec) -> None:
    header = {"SessionID": "00", "TimeStamp": 2**64}
    with pytest.raises(EncodeError, match="SessionSetupReq/Header/TimeStamp: 18446744073709551616"):
        codec.encode({"SessionSetupReq": {"Header": header}}, Namespace.ISO_20_COMMON)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({}, "is incomplete, expected Header"),
        ({"Header": {"SessionID": "00"}}, "Header: is incomplete"),
        ({"Header": {"SessionID": "0g", "TimeStamp": 1}}, "SessionID: not the text of a binary"),
        ({"Header": {"SessionID": "00", "TimeStamp": "1"}}, "TimeStamp: '1' is not an integer"),
        ({"Header": {"SessionID": "00", "TimeStamp": True}}, "TimeStamp: True is not an integer"),
        ({"Header": {"SessionID": "00", "TimeStamp": 1}, "EVCCID": 5}, "EVCCID: 5 is not a string"),
        ({"Header": {"SessionID": "00", "TimeStamp": 1}, "EVCCID": "\ud800"}, "lone surrogate"),
        ({"Header": {"SessionID": "00", "TimeStamp": 1}, "EVCCID": ["a", "b"]}, "more often"),
        ({"Header": 3}, "int where an element with content"),
        ({"Nonsense": 1}, "expected here: Header"),
    ],
)
def test_what_the_schema_does_not_allow_is_not_encoded(
    codec: ExiCodec, content: dict[str, Any], what: str
) -> None:
    with pytest.raises(EncodeError, match=what):
        codec.encode({"SessionSetupReq": content}, Namespace.ISO_20_COMMON)


@given(st.sampled_from(VECTORS), st.data())
@settings(max_examples=300, deadline=None)
def test_flipped_bits_give_a_message_or_a_decode_error(vector: Vector, data: st.DataObject) -> None:
    octets = bytearray(vector.data)
    for position in data.draw(st.lists(st.integers(0, 8 * len(octets) - 1), max_size=8)):
        octets[position // 8] ^= 0x80 >> position % 8
    decode(vector, bytes(octets))


@given(st.sampled_from(list(Namespace)), st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_octets_give_a_message_or_a_decode_error(namespace: Namespace, tail: bytes) -> None:
    assert CODEC is not None
    for decoder in (CODEC.decode, CODEC.decode_fragment):
        try:
            decoder(b"\x80" + tail, namespace)
        except DecodeError:
            pass


def test_what_decodes_can_be_encoded_again(vectors: list[Vector]) -> None:
    """A decoded mutation is a message of the schema: encoding it must not fail."""
    assert CODEC is not None
    rng = random.Random(1)
    decoded = 0
    for vector in vectors * 3:
        octets = bytearray(vector.data)
        octets[rng.randrange(1, len(octets))] ^= 1 << rng.randrange(8)
        message = decode(vector, bytes(octets))
        if message is not None:
            decoded += 1
            encode = CODEC.encode_fragment if vector.is_fragment else CODEC.encode
            encode(message, vector.namespace)
    assert decoded > 100


def test_announced_lengths_allocate_nothing(codec: ExiCodec) -> None:
    writer = BitWriter()
    writer.bits(0x80, 8)
    writer.bits(0x8C00 >> 7, 9)  # SessionSetupReq, Header, SessionID, characters
    writer.unsigned(2**40)
    tracemalloc.start()
    with pytest.raises(DecodeError, match="SessionID: 1099511627776 octets are announced"):
        codec.decode(writer.finish(), Namespace.ISO_20_COMMON)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_longest_message_takes_bounded_time(codec: ExiCodec) -> None:
    """65,536 octets of the densest list there is (DIN has lists without a bound)."""
    entry = {"SAScheduleTupleID": 1, "PMaxSchedule": {"PMaxScheduleID": 1, "PMaxScheduleEntry": []}}
    schedule = {
        "RelativeTimeInterval": {"start": 0},
        "PMax": 1,
    }
    entry["PMaxSchedule"]["PMaxScheduleEntry"] = [schedule] * 9_000
    message = {
        "V2G_Message": {
            "Header": {"SessionID": "00"},
            "Body": {
                "ChargeParameterDiscoveryRes": {
                    "ResponseCode": "OK",
                    "EVSEProcessing": "Finished",
                    "SAScheduleList": {"SAScheduleTuple": [entry]},
                    "AC_EVSEChargeParameter": {
                        "AC_EVSEStatus": {
                            "PowerSwitchClosed": False,
                            "RCD": False,
                            "NotificationMaxDelay": 0,
                            "EVSENotification": "None",
                        },
                        "EVSEMaxVoltage": {"Multiplier": 0, "Value": 1},
                        "EVSEMaxCurrent": {"Multiplier": 0, "Value": 1},
                        "EVSEMinCurrent": {"Multiplier": 0, "Value": 1},
                    },
                }
            },
        }
    }
    data = codec.encode(message, Namespace.DIN_70121)
    assert len(data) < MAX_MESSAGE
    started = time.monotonic()
    assert codec.decode(data, Namespace.DIN_70121) == message
    assert time.monotonic() - started < 20  # a hang limit; it takes about 0.1 s


def test_a_message_that_is_too_long_is_not_looked_at(codec: ExiCodec) -> None:
    with pytest.raises(DecodeError, match="more than a message may have"):
        codec.decode(b"\x80" * (MAX_MESSAGE + 1), Namespace.ISO_20_DC)


def test_generated_messages_survive_the_round_trip(
    codec: ExiCodec, generators: list[Generator]
) -> None:
    for generator in generators:
        for kind in generator.kinds() * 3:
            message = generator.message(kind)
            namespace = generator.namespace
            vector = Vector(namespace, message, b"", True)
            encode = codec.encode_fragment if vector.is_fragment else codec.encode
            assert decode(vector, encode(message, namespace)) == message


@pytest.mark.soak
def test_half_a_million_mutations(vectors: list[Vector]) -> None:
    rng = random.Random(2)
    for _ in range(500_000):
        vector = rng.choice(vectors)
        octets = bytearray(vector.data)
        for _ in range(rng.randint(1, 6)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        decode(vector, bytes(octets))
