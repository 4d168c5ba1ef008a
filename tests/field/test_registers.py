"""Registers ↔ numbers: golden registers, every value back again, nothing that does not fit."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.vehicles.field.registers import SIZES, Encoding, Kind, encoding

GOLDEN = [
    (encoding(Kind.INT16), (0xFFFE,), -2),
    (encoding(Kind.UINT16), (0xFFFE,), 65534),
    (encoding(Kind.INT32), (0xFFFF, 0xEC78), -5000),
    (encoding(Kind.INT32, "little"), (0xEC78, 0xFFFF), -5000),
    (encoding(Kind.UINT32), (0x0001, 0x0000), 65536),
    (encoding(Kind.UINT32, "little"), (0x0000, 0x0001), 65536),
    (encoding(Kind.UINT64), (0, 0, 0, 7), 7),
    (encoding(Kind.INT64, "little"), (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), -1),
    (encoding(Kind.FLOAT32), (0x4366, 0x3333), struct.unpack(">f", b"\x43\x66\x33\x33")[0]),
    (
        encoding(Kind.FLOAT32, "little"),
        (0x3333, 0x4366),
        struct.unpack(">f", b"\x43\x66\x33\x33")[0],
    ),
    (encoding(Kind.FLOAT64), (0x4049, 0, 0, 0), 50.0),
    (Encoding(Kind.STRING, 4), (0x5365, 0x6D73, 0x0000, 0x0000), "Sems"),
]


@pytest.mark.parametrize(("how", "registers", "value"), GOLDEN)
def test_golden_registers_both_ways(how, registers, value):
    assert how.decode(registers) == value
    assert how.encode(value) == registers


@settings(deadline=None)
@given(
    st.sampled_from([kind for kind in Kind if kind in SIZES]),
    st.sampled_from(["big", "little"]),
    st.data(),
)
def test_every_value_comes_back(kind, words, data):
    how = encoding(kind, words)
    bits = 16 * how.size
    if kind.is_float:
        value = data.draw(st.floats(allow_nan=False, allow_infinity=False, width=bits))
    elif kind.is_signed:
        value = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    else:
        value = data.draw(st.integers(0, 2**bits - 1))
    assert how.decode(how.encode(value)) == value


@settings(deadline=None)
@given(st.sampled_from(list(SIZES)), st.data())
def test_any_registers_decode_to_a_number_or_to_nothing(kind, data):
    how = encoding(kind)
    words = st.integers(0, 0xFFFF)
    value = how.decode(data.draw(st.lists(words, min_size=how.size, max_size=how.size)))
    assert value is None or math.isfinite(value)


@settings(deadline=None)
@given(st.lists(st.integers(0, 0xFFFF), max_size=40))
def test_any_registers_decode_to_a_text(registers):
    value = Encoding(Kind.STRING, len(registers)).decode(registers)
    assert value is None or value.strip() == value


def test_the_value_that_means_not_implemented_is_none_and_cannot_be_written():
    how = encoding(Kind.INT16, absent=0x8000)
    assert how.decode([0x8000]) is None
    with pytest.raises(ValueError, match="not implemented"):
        how.encode(-32768)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 40000.0, -40000.0, "x"])
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(ValueError):
        encoding(Kind.INT16).encode(value)


def test_another_number_of_registers_is_refused():
    with pytest.raises(ValueError, match="needs 2 registers"):
        encoding(Kind.INT32).decode([1])


def test_a_register_of_17_bits_is_refused():
    with pytest.raises(ValueError, match="16 bits"):
        encoding(Kind.INT16).decode([0x1_0000])
