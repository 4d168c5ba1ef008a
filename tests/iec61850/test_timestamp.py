"""Timestamp (IEC 61850-7-2, 6.2.3.7; IEC 61850-8-1, 8.1.3.7): eight octets both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.iec61850 import TimeQuality, Timestamp

TIMESTAMP = st.builds(
    Timestamp,
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 24) - 1),
    st.builds(TimeQuality, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 31)),
)


@pytest.mark.parametrize(
    ("octets", "timestamp"),
    [
        ("0000000000000000", Timestamp(0, 0, TimeQuality(False, False, False, 0))),
        ("5f5e10008000008a", Timestamp(0x5F5E1000, 1 << 23, TimeQuality(True, False, False, 10))),
        (
            "ffffffffffffff7f",
            Timestamp((1 << 32) - 1, (1 << 24) - 1, TimeQuality(False, True, True, 31)),
        ),
    ],
)
def test_octets_both_ways(octets, timestamp):
    assert timestamp.to_octets().hex() == octets
    assert Timestamp.from_octets(bytes.fromhex(octets)) == timestamp


@given(TIMESTAMP)
def test_every_timestamp_survives(timestamp):
    assert Timestamp.from_octets(timestamp.to_octets()) == timestamp


@given(st.binary(min_size=8, max_size=8))
def test_every_eight_octets_survive(octets):
    assert Timestamp.from_octets(octets).to_octets() == octets


@given(st.integers(0, (1 << 32) * 10**9 - 10**9))
def test_nanoseconds_are_kept_to_a_tick(t_utc_ns):
    assert abs(Timestamp.from_utc_ns(t_utc_ns).t_utc_ns - t_utc_ns) <= 30


def test_half_a_second():
    assert Timestamp(10, 1 << 23).t_utc_ns == 10_500_000_000
    assert Timestamp(10, 1 << 23).t_utc_s == 10.5
    assert Timestamp.from_utc_ns(10_500_000_000).fraction == 1 << 23


def test_rounding_up_carries_into_the_seconds():
    assert Timestamp.from_utc_ns(1_999_999_999) == Timestamp(2, 0)


@pytest.mark.parametrize("t_utc_ns", [-1_000_000_000, (1 << 32) * 10**9])
def test_years_beyond_the_wire_are_refused(t_utc_ns):
    with pytest.raises(ValueError, match="outside"):
        Timestamp.from_utc_ns(t_utc_ns)


@pytest.mark.parametrize("length", [0, 7, 9])
def test_other_lengths_are_refused(length):
    with pytest.raises(DecodeError):
        Timestamp.from_octets(bytes(length))


def test_accuracy():
    assert TimeQuality(accuracy_bits=10).accuracy_s == pytest.approx(1 / 1024)
    assert TimeQuality(accuracy_bits=31).accuracy_s is None
