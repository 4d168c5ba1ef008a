"""Quality (IEC 61850-7-3, 6.2) in its two encodings, against values of other implementations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open61850.data import BitStringData
from open61850.quality import Quality as PeerQuality

from agent.errors import DecodeError
from agent.iec61850 import DetailQuality, Quality, Source, Validity
from agent.iec61850.quality import is_derived

QUALITY = st.builds(
    Quality,
    st.sampled_from(Validity),
    st.integers(0, 255).map(lambda bits: DetailQuality(bits << 2)),
    st.sampled_from(Source),
    st.booleans(),
    st.booleans(),
)

# Bit strings as IEC 61850-8-1 draws them, first bit first.
GOLDEN = [
    ("0000000000000", Quality()),
    ("0100000000000", Quality(Validity.INVALID)),
    ("1100000000000", Quality(Validity.QUESTIONABLE)),
    ("1100000100000", Quality(Validity.QUESTIONABLE, DetailQuality.OLD_DATA)),
    ("0100001000000", Quality(Validity.INVALID, DetailQuality.FAILURE)),
    ("0000000000100", Quality(source=Source.SUBSTITUTED)),
    ("0000000000010", Quality(test=True)),
    ("0000000000001", Quality(operator_blocked=True)),
]


@pytest.mark.parametrize(("bits", "quality"), GOLDEN)
def test_bit_string_both_ways(bits, quality):
    octets = (int(bits, 2) << 3).to_bytes(2, "big")
    assert quality.to_bit_string() == octets
    assert Quality.from_bit_string(octets) == quality


@pytest.mark.parametrize(
    ("word", "quality"),
    [
        (0x0000, Quality()),
        (0x0001, Quality(Validity.INVALID)),
        (0x0003, Quality(Validity.QUESTIONABLE)),
        (0x0800, Quality(test=True)),
        (0x1000, Quality(operator_blocked=True)),
        (0x0083, Quality(Validity.QUESTIONABLE, DetailQuality.OLD_DATA)),
    ],
)
def test_sampled_value_word_both_ways(word, quality):
    assert quality.to_word() == word
    assert Quality.from_word(word) == quality


@given(QUALITY)
def test_every_quality_survives_both_encodings(quality):
    assert Quality.from_word(quality.to_word()) == quality
    assert Quality.from_bit_string(quality.to_bit_string()) == quality


@given(st.integers(0, (1 << 32) - 1))
def test_padding_of_a_word_is_not_quality(word):
    assert Quality.from_word(word) == Quality.from_word(word & 0x1FFF)
    assert is_derived(word) == bool(word & 0x2000)


@given(st.binary(max_size=8).filter(lambda octets: len(octets) != 2))
def test_other_lengths_are_refused(octets):
    with pytest.raises(DecodeError):
        Quality.from_bit_string(octets)


def test_only_good_without_test_may_be_acted_on():
    assert Quality().is_good
    assert not Quality(test=True).is_good
    assert not Quality.invalid().is_good
    assert not Quality.questionable().is_good


@given(QUALITY)
def test_open61850_reads_the_same_bits(quality):
    peer = PeerQuality.from_bitstring(BitStringData(quality.to_bit_string(), 3))
    assert peer.validity == quality.validity.name.lower()
    assert peer.substituted == bool(quality.source)
    assert (peer.test, peer.operator_blocked) == (quality.test, quality.operator_blocked)
    details = {name.replace("-", "_").upper() for name in peer.details}
    assert details == {flag.name for flag in DetailQuality if flag in quality.detail and flag}
