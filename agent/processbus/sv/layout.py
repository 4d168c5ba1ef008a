"""Where everything lies in one kind of SV frame, learnt from one frame with care.

`parse` reads a frame element by element and refuses whatever is not exactly an SV APDU. What it
returns says which octets change from frame to frame (counter, synchronisation, time, samples) and
which never do; the decoder then compares whole frames with that, without looking at elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.errors import DecodeError
from agent.processbus.ber import Element, element, elements
from agent.processbus.ethernet import APDU_OFFSET, Header, parse_header
from agent.processbus.frames import ETHERTYPE_SV, UNTAGGED

SAV_PDU: Final = 0x60
NO_ASDU: Final = 0x80
SECURITY: Final = 0x81
SEQUENCE_OF_ASDU: Final = 0xA2
ASDU: Final = 0x30
SV_ID: Final = 0x80
DAT_SET: Final = 0x81
SMP_CNT: Final = 0x82
CONF_REV: Final = 0x83
REFR_TM: Final = 0x84
SMP_SYNCH: Final = 0x85
SMP_RATE: Final = 0x86
SAMPLES: Final = 0x87
SMP_MOD: Final = 0x88
GM_IDENTITY: Final = 0x89
MOST_ASDU: Final = 16
MOST_CHANNELS: Final = 64
LONGEST_NAME: Final = 129
_SIZES: Final = {
    SMP_CNT: (2,), CONF_REV: (4,), REFR_TM: (8,), SMP_SYNCH: (1,),
    SMP_RATE: (2, 4), SMP_MOD: (1, 2, 4), GM_IDENTITY: (8,),
}  # fmt: skip
"""Octets of each field; smpRate and smpMod come with four from publishers in the field."""
_ORDER: Final = (
    SV_ID, DAT_SET, SMP_CNT, CONF_REV, REFR_TM, SMP_SYNCH, SMP_RATE, SAMPLES, SMP_MOD, GM_IDENTITY,
)  # fmt: skip
_MANDATORY: Final = (SV_ID, SMP_CNT, CONF_REV, SMP_SYNCH, SAMPLES)
_CHANGING: Final = (SMP_CNT, REFR_TM, SMP_SYNCH, SAMPLES, GM_IDENTITY)


@dataclass(frozen=True, slots=True)
class AsduPlace:
    """Offsets in the frame of what changes; -1 where the field is absent."""

    smp_cnt: int
    smp_synch: int
    samples: int
    refr_tm: int


@dataclass(frozen=True, slots=True)
class SvLayout:
    """One kind of SV frame.

    Attributes:
        header: Addresses, APPID, tag and simulation bit.
        sv_id, dat_set, conf_rev, smp_rate, smp_mod: As in every ASDU of the frame; `dat_set`
            empty and `smp_rate`, `smp_mod` None where absent.
        asdus: Places of the changing fields of each ASDU.
        data_length: Octets of samples in each ASDU.
        changing: (offset, length) of every stretch that may change.
    """

    header: Header
    sv_id: str
    dat_set: str
    conf_rev: int
    smp_rate: int | None
    smp_mod: int | None
    asdus: tuple[AsduPlace, ...]
    data_length: int
    changing: tuple[tuple[int, int], ...]


def parse(frame: bytes, vlan: int = UNTAGGED) -> SvLayout:
    """Return the layout of one frame.

    Raises:
        DecodeError: It is not an SV frame that this standard allows.
    """
    header = parse_header(frame, vlan)
    if header.ethertype != ETHERTYPE_SV:
        raise DecodeError(f"EtherType 0x{header.ethertype:04x} is not SV")
    pdu = element(frame, header.payload + APDU_OFFSET, header.end)
    if pdu.tag != SAV_PDU or pdu.end != header.end:
        raise DecodeError("the frame holds more or less than one savPdu")
    count, sequence = _pdu_fields(frame, pdu)
    fields = [_asdu_fields(frame, asdu) for asdu in _asdus(frame, sequence)]
    if len(fields) != count:
        raise DecodeError(f"noASDU is {count}, there are {len(fields)}")
    return _layout(frame, header, fields)


def _pdu_fields(frame: bytes, pdu: Element) -> tuple[int, Element]:
    found = {part.tag: part for part in elements(frame, pdu.begin, pdu.end)}
    if not {NO_ASDU, SEQUENCE_OF_ASDU} <= set(found) <= {NO_ASDU, SECURITY, SEQUENCE_OF_ASDU}:
        raise DecodeError("a savPdu has noASDU and seqASDU")
    number = found[NO_ASDU]
    if number.end - number.begin not in (1, 2):
        raise DecodeError("noASDU has one or two octets")
    count = int.from_bytes(frame[number.begin : number.end], "big")
    if not 1 <= count <= MOST_ASDU:
        raise DecodeError(f"noASDU is {count}")
    return count, found[SEQUENCE_OF_ASDU]


def _asdus(frame: bytes, sequence: Element) -> list[Element]:
    parts = list(elements(frame, sequence.begin, sequence.end))
    if any(part.tag != ASDU for part in parts):
        raise DecodeError("seqASDU holds something else than ASDUs")
    return parts


def _asdu_fields(frame: bytes, asdu: Element) -> dict[int, Element]:
    parts = list(elements(frame, asdu.begin, asdu.end))
    tags = [part.tag for part in parts]
    places = [_ORDER.index(tag) for tag in tags if tag in _ORDER]
    if len(places) != len(tags) or places != sorted(set(places)):
        raise DecodeError("fields of an ASDU unknown, repeated or out of order")
    fields = dict(zip(tags, parts, strict=True))
    if not set(_MANDATORY) <= set(fields):
        raise DecodeError("an ASDU lacks svID, smpCnt, confRev, smpSynch or its samples")
    for tag, sizes in _SIZES.items():
        if tag in fields and fields[tag].end - fields[tag].begin not in sizes:
            raise DecodeError(f"field 0x{tag:02x} of an ASDU has not {sizes} octets")
    return fields


def _layout(frame: bytes, header: Header, fields: list[dict[int, Element]]) -> SvLayout:
    first = fields[0]
    fixed = [_fixed(frame, asdu) for asdu in fields]
    lengths = {asdu[SAMPLES].end - asdu[SAMPLES].begin for asdu in fields}
    if any(other != fixed[0] for other in fixed) or len(lengths) != 1:
        raise DecodeError("the ASDUs of a frame are of different streams")
    (data_length,) = lengths
    if not 0 < data_length <= 8 * MOST_CHANNELS:
        raise DecodeError(f"{data_length} octets of samples")
    return SvLayout(
        header=header,
        sv_id=_text(frame, first.get(SV_ID)),
        dat_set=_text(frame, first.get(DAT_SET)),
        conf_rev=_number(frame, first[CONF_REV]),
        smp_rate=_number(frame, first[SMP_RATE]) if SMP_RATE in first else None,
        smp_mod=_number(frame, first[SMP_MOD]) if SMP_MOD in first else None,
        asdus=tuple(
            AsduPlace(
                smp_cnt=asdu[SMP_CNT].begin,
                smp_synch=asdu[SMP_SYNCH].begin,
                samples=asdu[SAMPLES].begin,
                refr_tm=asdu[REFR_TM].begin if REFR_TM in asdu else -1,
            )
            for asdu in fields
        ),
        data_length=data_length,
        changing=(*_changing(fields), *_trailer(frame, header)),
    )


def _changing(fields: list[dict[int, Element]]) -> list[tuple[int, int]]:
    return [
        (asdu[tag].begin, asdu[tag].end - asdu[tag].begin)
        for asdu in fields
        for tag in _CHANGING
        if tag in asdu
    ]


def _trailer(frame: bytes, header: Header) -> list[tuple[int, int]]:
    """What follows the APDU is not the stream's: padding, or the counter of a redundant network.

    Every frame on a LAN of the Parallel Redundancy Protocol ends with its own sequence number
    (RCT, IEC 62439-3:2021, 4.2.7.3).
    """
    return [(header.end, len(frame) - header.end)] if header.end < len(frame) else []


def _fixed(frame: bytes, asdu: dict[int, Element]) -> list[tuple[int, bytes]]:
    """The fields that must be the same in every ASDU of a frame."""
    return [
        (tag, frame[part.begin : part.end]) for tag, part in asdu.items() if tag not in _CHANGING
    ]


def _text(frame: bytes, part: Element | None) -> str:
    if part is None:
        return ""
    raw = frame[part.begin : part.end]
    if len(raw) > LONGEST_NAME or any(not 0x20 <= octet < 0x7F for octet in raw):
        raise DecodeError("a name that is not visible ASCII or too long")
    return raw.decode("ascii")


def _number(frame: bytes, part: Element) -> int:
    return int.from_bytes(frame[part.begin : part.end], "big")
