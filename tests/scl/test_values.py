"""Val text to typed values (IEC 61850-6, table 46)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.iec61850 import FC, BasicType, Quality, TimeQuality, Timestamp, Validity
from agent.iec61850.basic_types import INTEGER_RANGE
from agent.scl import DataAttribute, parse_value


def attribute(b_type):
    return DataAttribute("a", FC.ST, BasicType(b_type))


@pytest.mark.parametrize(
    ("b_type", "text", "value"),
    [
        ("INT8", "-128", -128),
        ("INT8U", "255", 255),
        ("INT64", "9223372036854775807", 2**63 - 1),
        ("FLOAT32", "1e3", 1000.0),
        ("FLOAT32", "INF", math.inf),
        ("FLOAT64", "-0.5", -0.5),
        ("Dbpos", "on", 2),
        ("Dbpos", "off", 1),
        ("Dbpos", "10", 2),
        ("Dbpos", "intermediate-state", 0),
        ("Tcmd", "higher", 2),
        ("Check", "10", 2),
        ("Octet64", "0A FF", b"\x0a\xff"),
        ("Octet64", "name", b"name"),
        ("VisString255", "text", "text"),
        ("Unicode255", "é€", "é€"),
        ("ObjRef", "V2G1LD0/MMXU1.Hz", "V2G1LD0/MMXU1.Hz"),
        ("Quality", "0000000000000", Quality()),
        ("Quality", "0100000000000", Quality(Validity.INVALID)),
        (
            "Timestamp",
            "1970-01-01T00:00:01.5Z",
            Timestamp(1, 1 << 23, TimeQuality(accuracy_bits=31)),
        ),
        ("Timestamp", "1970-01-01T01:00:00+01:00", Timestamp(0, 0, TimeQuality(accuracy_bits=31))),
        ("INT32", "", None),
    ],
)
def test_text_becomes_a_value(b_type, text, value):
    assert parse_value(attribute(b_type), text) == value


@pytest.mark.parametrize(
    ("b_type", "text"),
    [
        ("INT8", "128"),
        ("INT8U", "-1"),
        ("INT32", "1.0"),
        ("INT32", "0x10"),
        ("FLOAT32", "1,5"),
        ("FLOAT32", "1e39"),
        ("FLOAT32", "1_0"),
        ("BOOLEAN", "yes"),
        ("Dbpos", "open"),
        ("VisString32", "x" * 33),
        ("Octet6", "00" * 7),
        ("Quality", "good"),
        ("Timestamp", "yesterday"),
        ("Timestamp", "1960-01-01T00:00:00Z"),
        ("Timestamp", "9999-12-31T23:59:59Z"),
        ("Check", "111"),
        ("Struct", "x"),
    ],
)
def test_text_that_is_no_value_is_refused_with_a_reason(b_type, text):
    with pytest.raises(ValueError, match=r".{5,}"):
        parse_value(attribute(b_type), text)


@given(st.sampled_from(sorted(INTEGER_RANGE)), st.integers(-(2**130), 2**130))
def test_integers_are_accepted_exactly_in_their_range(b_type, number):
    least, greatest = INTEGER_RANGE[b_type]
    if least <= number <= greatest:
        assert parse_value(attribute(b_type), str(number)) == number
    else:
        with pytest.raises(ValueError, match="outside"):
            parse_value(attribute(b_type), str(number))


@given(st.sampled_from(BasicType), st.text(max_size=40))
def test_no_text_does_more_than_raise_value_error(b_type, text):
    try:
        parse_value(attribute(b_type), text)
    except ValueError as error:
        assert str(error)
