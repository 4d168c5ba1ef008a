"""GOOSE APDUs (IEC 61850-8-1 Ed. 2.1, annex A): golden octets, a peer's, and what is refused."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.iec61850 import Timestamp
from agent.processbus.goose.pdu import GooseMessage, decode_frame, encode_frame
from agent.processbus.goose.values import BitString, DataTag, Leaf


def golden() -> bytes:
    fields = (
        "80 0a 424159314c44302f4742"  # gocbRef BAY1LD0/GB
        "81 02 07d0"  # timeAllowedtoLive 2000
        "82 03 445331"  # datSet DS1
        "83 02 4742"  # goID GB
        "84 08 65536f008000000a"  # t
        "85 01 05"  # stNum 5
        "86 01 07"  # sqNum 7
        "87 01 00"  # simulation
        "88 01 01"  # confRev 1
        "89 01 00"  # ndsCom
        "8a 01 03"  # numDatSetEntries
        "ab 0f 83 01 01 87 05 08 42480000 84 03 03 0000"  # TRUE, 50.0, good
    )
    body = bytes.fromhex(fields)
    apdu = bytes((0x61, len(body))) + body
    header = bytes.fromhex("010ccd010001 020000000002 88b8 0001")
    return header + (len(apdu) + 8).to_bytes(2, "big") + bytes(4) + apdu


MESSAGE = GooseMessage(
    gocb_ref="BAY1LD0/GB",
    dat_set="DS1",
    go_id="GB",
    t=Timestamp.from_octets(bytes.fromhex("65536f008000000a")),
    st_num=5,
    sq_num=7,
    conf_rev=1,
    time_allowed_to_live_s=2.0,
    members=3,
    values=(
        Leaf(DataTag.BOOLEAN, True, 0),
        Leaf(DataTag.FLOATING_POINT, 50.0, 1),
        Leaf(DataTag.BIT_STRING, BitString(bytes(2), 3), 2),
    ),
)


def test_the_golden_frame_is_decoded():
    header, message = decode_frame(golden())
    assert message == MESSAGE
    assert (header.appid, header.source) == (1, bytes.fromhex("020000000002"))


def test_the_message_is_encoded_to_the_golden_frame():
    assert encode_frame(MESSAGE) == golden()


@pytest.mark.peer
def test_a_frame_of_open61850_is_decoded_and_ours_by_open61850():
    goose = pytest.importorskip("open61850.goose")
    data = pytest.importorskip("open61850.data")
    pdu = goose.decode_goose_frame(encode_frame(MESSAGE))
    pdu = pdu[-1] if isinstance(pdu, tuple) else pdu
    pdu = getattr(pdu, "pdu", pdu)
    assert pdu.gocb_ref == MESSAGE.gocb_ref
    assert (pdu.st_num, pdu.sq_num, pdu.conf_rev) == (5, 7, 1)
    theirs = goose.GoosePDU(
        gocb_ref="A/LLN0$GO$G",
        time_allowed_to_live=1000,
        dat_set="A/LLN0$D",
        go_id="G",
        timestamp=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        st_num=3,
        sq_num=0,
        simulation=False,
        conf_rev=2,
        nds_com=False,
        num_dat_set_entries=2,
        all_data=[data.BoolData(True), data.IntData(-7)],
    )
    frame = goose.encode_goose_frame(
        theirs, dst_mac="01:0c:cd:01:00:01", src_mac="02:00:00:00:00:aa", app_id=1, vlan_id=5
    )
    header, message = decode_frame(frame)
    assert [leaf.value for leaf in message.values] == [True, -7]
    assert (message.st_num, message.conf_rev, message.t.seconds) == (3, 2, 1767225600)
    assert header.vlan & 0xFFF == 5


@pytest.mark.parametrize("length", range(len(golden())))
def test_a_frame_cut_anywhere_is_refused(length):
    with pytest.raises(DecodeError):
        decode_frame(golden()[:length])


@given(
    st.lists(st.tuples(st.integers(12, len(golden()) - 1), st.integers(0, 255)), max_size=10),
)
def test_no_mutation_escapes_as_another_error(changes):
    frame = bytearray(golden())
    for offset, value in changes:
        frame[offset] = value
    try:
        decode_frame(bytes(frame))
    except DecodeError:
        pass


leaves = st.one_of(
    st.booleans().map(lambda v: Leaf(DataTag.BOOLEAN, v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: Leaf(DataTag.INTEGER, v)),
    st.floats(width=32, allow_nan=False).map(lambda v: Leaf(DataTag.FLOATING_POINT, v)),
    st.text(max_size=40).map(lambda v: Leaf(DataTag.MMS_STRING, v)),
    st.binary(max_size=20).map(lambda v: Leaf(DataTag.OCTET_STRING, v)),
    st.binary(min_size=1, max_size=4).map(lambda v: Leaf(DataTag.BIT_STRING, BitString(v, 3))),
)


@given(
    st.lists(leaves, max_size=20),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_what_is_encoded_is_decoded_back(values, st_num, sq_num, simulation):
    numbered = tuple(Leaf(leaf.tag, leaf.value, n) for n, leaf in enumerate(values))
    message = GooseMessage(
        gocb_ref="X/LLN0$GO$Y",
        dat_set="X/LLN0$Z",
        go_id="Y",
        t=Timestamp(1_700_000_000, 77),
        st_num=st_num,
        sq_num=sq_num,
        conf_rev=9,
        time_allowed_to_live_s=1.5,
        members=len(numbered),
        values=numbered,
        simulation=simulation,
    )
    assert decode_frame(encode_frame(message, vlan=0x8001))[1] == message
