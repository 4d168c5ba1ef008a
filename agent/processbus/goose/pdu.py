"""The GOOSE APDU (IEC 61850-8-1 Ed. 2.1, annex A), strict both ways."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.errors import DecodeError
from agent.iec61850 import Timestamp
from agent.processbus import ber
from agent.processbus.ethernet import APDU_OFFSET, Header, build_frame, parse_header
from agent.processbus.frames import ETHERTYPE_GOOSE, UNTAGGED
from agent.processbus.goose.values import Leaf, decode_values, encode_leaf, integer, shortest

GOOSE_PDU: Final = 0x61
GOCB_REF, TIME_ALLOWED, DAT_SET, GO_ID, TIME, ST_NUM, SQ_NUM = range(0x80, 0x87)
SIMULATION, CONF_REV, NDS_COM, ENTRIES = range(0x87, 0x8B)
ALL_DATA: Final = 0xAB
SECURITY: Final = 0x8C
_ORDER: Final = (
    GOCB_REF, TIME_ALLOWED, DAT_SET, GO_ID, TIME, ST_NUM, SQ_NUM, SIMULATION, CONF_REV, NDS_COM,
    ENTRIES, ALL_DATA, SECURITY,
)  # fmt: skip
_OPTIONAL: Final = {GO_ID, SIMULATION, NDS_COM, SECURITY}
COUNTER_LIMIT: Final = 1 << 32
LONGEST_NAME: Final = 129


class GooseMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One GOOSE message.

    Attributes:
        time_allowed_to_live_s: How long it is valid after its arrival.
        go_id: The control block reference where the message has none.
        t: When stNum last changed.
        values: Basic values of all members, in order.
        members: Number of data set members.
    """

    gocb_ref: str
    dat_set: str
    t: Timestamp
    st_num: int
    sq_num: int
    conf_rev: int
    time_allowed_to_live_s: float
    values: tuple[Leaf, ...]
    members: int
    go_id: str = ""
    simulation: bool = False
    nds_com: bool = False


def decode_frame(frame: bytes, vlan: int = UNTAGGED) -> tuple[Header, GooseMessage]:
    """Return header and message of one frame.

    Args:
        frame: From the destination address on, without FCS.
        vlan: TCI that the kernel took out.

    Raises:
        DecodeError: It is not a GOOSE frame that the standard allows.
    """
    header = parse_header(frame, vlan)
    if header.ethertype != ETHERTYPE_GOOSE:
        raise DecodeError(f"EtherType 0x{header.ethertype:04x} is not GOOSE")
    pdu = ber.element(frame, header.payload + APDU_OFFSET, header.end)
    if pdu.tag != GOOSE_PDU or pdu.end != header.end:
        raise DecodeError("the frame holds more or less than one goosePdu")
    fields = _fields(frame, pdu)
    values, members = decode_values(frame, fields[ALL_DATA].begin, fields[ALL_DATA].end)
    if members != _unsigned(frame, fields[ENTRIES]):
        raise DecodeError("numDatSetEntries is not the number of members")
    gocb_ref = _text(frame, fields[GOCB_REF])
    message = GooseMessage(
        gocb_ref=gocb_ref,
        dat_set=_text(frame, fields[DAT_SET]),
        go_id=_text(frame, fields[GO_ID]) if GO_ID in fields else gocb_ref,
        t=Timestamp.from_octets(_content(frame, fields[TIME])),
        st_num=_unsigned(frame, fields[ST_NUM]),
        sq_num=_unsigned(frame, fields[SQ_NUM]),
        conf_rev=_unsigned(frame, fields[CONF_REV]),
        time_allowed_to_live_s=_unsigned(frame, fields[TIME_ALLOWED]) / 1000,
        simulation=_flag(frame, fields.get(SIMULATION)) or header.simulated,
        nds_com=_flag(frame, fields.get(NDS_COM)),
        values=values,
        members=members,
    )
    return header, message


def _fields(frame: bytes, pdu: ber.Element) -> dict[int, ber.Element]:
    parts = list(ber.elements(frame, pdu.begin, pdu.end))
    tags = [part.tag for part in parts]
    places = [_ORDER.index(tag) for tag in tags if tag in _ORDER]
    if len(places) != len(tags) or places != sorted(set(places)):
        raise DecodeError("fields of a goosePdu unknown, repeated or out of order")
    missing = set(_ORDER) - _OPTIONAL - set(tags)
    if missing:
        raise DecodeError(f"a goosePdu lacks field 0x{min(missing):02x}")
    return dict(zip(tags, parts, strict=True))


def _content(frame: bytes, part: ber.Element) -> bytes:
    return frame[part.begin : part.end]


def _unsigned(frame: bytes, part: ber.Element) -> int:
    value = integer(_content(frame, part), signed=False)
    if value >= COUNTER_LIMIT:
        raise DecodeError("a counter of more than 32 bits")
    return value


def _flag(frame: bytes, part: ber.Element | None) -> bool:
    if part is None:
        return False
    if part.end - part.begin != 1:
        raise DecodeError("a boolean has one octet")
    return frame[part.begin] != 0


def _text(frame: bytes, part: ber.Element) -> str:
    raw = _content(frame, part)
    if len(raw) > LONGEST_NAME or any(not 0x20 <= octet < 0x7F for octet in raw):
        raise DecodeError("a name that is not visible ASCII or too long")
    return raw.decode("ascii")


def encode_frame(
    message: GooseMessage,
    *,
    destination: bytes = bytes.fromhex("010ccd010001"),
    source: bytes = bytes.fromhex("020000000002"),
    appid: int = 1,
    vlan: int = UNTAGGED,
) -> bytes:
    """Return a frame; members must be basic values (one leaf each)."""
    fields = (
        (GOCB_REF, message.gocb_ref.encode("ascii")),
        (TIME_ALLOWED, shortest(round(message.time_allowed_to_live_s * 1000))),
        (DAT_SET, message.dat_set.encode("ascii")),
        (GO_ID, message.go_id.encode("ascii")),
        (TIME, message.t.to_octets()),
        (ST_NUM, shortest(message.st_num)),
        (SQ_NUM, shortest(message.sq_num)),
        (SIMULATION, bytes((message.simulation,))),
        (CONF_REV, shortest(message.conf_rev)),
        (NDS_COM, bytes((message.nds_com,))),
        (ENTRIES, shortest(message.members)),
        (ALL_DATA, b"".join(encode_leaf(leaf) for leaf in message.values)),
    )
    apdu = ber.encode(GOOSE_PDU, b"".join(ber.encode(tag, content) for tag, content in fields))
    return build_frame(
        apdu=apdu,
        destination=destination,
        source=source,
        ethertype=ETHERTYPE_GOOSE,
        appid=appid,
        vlan=vlan,
        simulated=message.simulation,
    )
