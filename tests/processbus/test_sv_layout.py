"""IEC 61850-9-2 Ed. 2.1 frames: golden octets both ways, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.processbus.sv.encode import SvStream, encode_frame
from agent.processbus.sv.layout import parse

GOLDEN = bytes.fromhex(
    "010ccd040001 020000000001 88ba"  # destination, source, EtherType
    "4000 0066 0000 0000"  # APPID, Length, Reserved
    "605c 800101 a257"  # savPdu, noASDU 1, seqASDU
    "3055 80044d553031 82020fa0 830400000001 850102"  # svID MU01, smpCnt, confRev, smpSynch
    "8740"
    "00000001 00000000 00000002 00000000 00000003 00000000 00000004 00000000"
    "00000005 00000000 00000006 00000000 00000007 00000000 fffffff8 00000800"
)


def samples() -> bytes:
    words = [number for value in range(1, 8) for number in (value, 0)] + [0xFFFFFFF8, 0x800]
    return b"".join(word.to_bytes(4, "big") for word in words)


def test_9_2le_frame_is_encoded_to_the_golden_octets():
    assert encode_frame(SvStream(), [4000], [samples()]) == GOLDEN


def test_9_2le_frame_is_parsed():
    layout = parse(GOLDEN)
    assert (layout.sv_id, layout.conf_rev, layout.dat_set) == ("MU01", 1, "")
    assert layout.header.appid == 0x4000
    assert layout.data_length == 64
    place = layout.asdus[0]
    assert GOLDEN[place.smp_cnt : place.smp_cnt + 2] == (4000).to_bytes(2, "big")
    assert GOLDEN[place.smp_synch] == 2
    assert GOLDEN[place.samples : place.samples + 64] == samples()


@pytest.mark.parametrize("asdus", [1, 2, 6, 8])
def test_every_asdu_has_its_own_place(asdus):
    stream = SvStream(asdus=asdus, channels=9, dat_set="MU/LLN0$Ds", smp_rate=4800, smp_mod=1)
    data = [bytes([number]) * 72 for number in range(asdus)]
    frame = encode_frame(stream, range(asdus), data)
    layout = parse(frame)
    assert (layout.dat_set, layout.smp_rate, layout.smp_mod) == ("MU/LLN0$Ds", 4800, 1)
    for number, place in enumerate(layout.asdus):
        assert frame[place.smp_cnt + 1] == number
        assert frame[place.samples : place.samples + 72] == data[number]


def test_vlan_tag_refr_tm_and_simulation_bit_are_seen():
    stream = SvStream(vlan=0x800A, with_refr_tm=True, simulated=True)
    layout = parse(encode_frame(stream, [0], [bytes(64)], refr_tm=bytes(range(8))))
    assert layout.header.vlan == 0x800A
    assert layout.header.simulated
    assert layout.asdus[0].refr_tm > 0


def test_padding_behind_the_apdu_is_no_part_of_it():
    assert parse(GOLDEN + bytes(6)).asdus == parse(GOLDEN).asdus


@pytest.mark.parametrize("length", range(len(GOLDEN)))
def test_a_frame_cut_anywhere_is_refused(length):
    with pytest.raises(DecodeError):
        parse(GOLDEN[:length])


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (13, 0xB8, "GOOSE EtherType"),
        (17, 0x65, "Length shorter than the APDU"),
        (22, 0x61, "no savPdu"),
        (26, 2, "noASDU 2 of one"),
        (30, 0x56, "ASDU longer than its sequence"),
        (37, 0x81, "smpCnt missing"),
    ],
)
def test_wrong_structure_is_refused(offset, value, why):
    frame = bytearray(GOLDEN)
    frame[offset] = value
    with pytest.raises(DecodeError):
        parse(bytes(frame))


def test_fields_out_of_order_are_refused():
    sv_id, smp_cnt = GOLDEN[31:37], GOLDEN[37:41]
    swapped = GOLDEN[:31] + smp_cnt + sv_id + GOLDEN[41:]
    assert len(swapped) == len(GOLDEN)
    with pytest.raises(DecodeError):
        parse(swapped)


@given(
    st.lists(st.tuples(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(GOLDEN)),
)
def test_no_mutation_escapes_as_another_error(changes, length):
    frame = bytearray(GOLDEN)
    for offset, value in changes:
        frame[offset] = value
    try:
        layout = parse(bytes(frame[:length]))
    except DecodeError:
        return
    for place in layout.asdus:
        assert place.samples + layout.data_length <= length
        assert place.smp_cnt + 2 <= length


@given(
    st.integers(0, 65535),
    st.binary(min_size=8, max_size=512).filter(lambda data: len(data) % 8 == 0),
    st.integers(0, 2),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=34),
)
def test_what_is_encoded_is_parsed_back(smp_cnt, data, synch, sv_id):
    frame = encode_frame(SvStream(sv_id=sv_id), [smp_cnt], [data], synch)
    layout = parse(frame)
    place = layout.asdus[0]
    assert layout.sv_id == sv_id
    assert int.from_bytes(frame[place.smp_cnt : place.smp_cnt + 2], "big") == smp_cnt
    assert frame[place.samples : place.samples + layout.data_length] == data
    assert frame[place.smp_synch] == synch
