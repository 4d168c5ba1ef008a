"""Build SV frames: one APDU, or a second of frames at once as an array."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.processbus import ber
from agent.processbus.ethernet import build_frame
from agent.processbus.frames import ETHERTYPE_SV, UNTAGGED
from agent.processbus.sv import layout
from agent.processbus.sv.layout import parse

GLOBAL_CLOCK: Final = 2
DEFAULT_APPID: Final = 0x4000
"""Of 9-2LE; IEC 61869-9 gives each stream its own from 0x4000 to 0x7FFF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SvStream:
    """What stays the same in every frame of a stream.

    Attributes:
        asdus: ASDUs in a frame. `channels`: pairs of INT32 value and quality in an ASDU.
        vlan: TCI, priority in the upper three bits, `UNTAGGED` for no tag.
    """

    sv_id: str = "MU01"
    destination: bytes = bytes.fromhex("010ccd040001")
    source: bytes = bytes.fromhex("020000000001")
    appid: int = DEFAULT_APPID
    vlan: int = UNTAGGED
    conf_rev: int = 1
    simulated: bool = False
    dat_set: str = ""
    smp_rate: int | None = None
    smp_mod: int | None = None
    with_refr_tm: bool = False
    asdus: int = 1
    channels: int = 8


def encode_frame(
    stream: SvStream,
    smp_cnt: Sequence[int],
    samples: Sequence[bytes],
    smp_synch: int = GLOBAL_CLOCK,
    refr_tm: bytes = bytes(8),
) -> bytes:
    """Return one frame.

    Args:
        stream: The constant part.
        smp_cnt: Counter of each ASDU.
        samples: Content of seqData of each ASDU.
        smp_synch: 0 none, 1 local, 2 global.
        refr_tm: Eight octets, used where the stream carries them.
    """
    parts = b"".join(
        ber.encode(layout.ASDU, _asdu(stream, count, data, smp_synch, refr_tm))
        for count, data in zip(smp_cnt, samples, strict=True)
    )
    count = ber.encode(layout.NO_ASDU, bytes((len(smp_cnt),)))
    apdu = ber.encode(layout.SAV_PDU, count + ber.encode(layout.SEQUENCE_OF_ASDU, parts))
    return build_frame(
        apdu=apdu,
        destination=stream.destination,
        source=stream.source,
        ethertype=ETHERTYPE_SV,
        appid=stream.appid,
        vlan=stream.vlan,
        simulated=stream.simulated,
    )


def _asdu(stream: SvStream, smp_cnt: int, data: bytes, smp_synch: int, refr_tm: bytes) -> bytes:
    fields = [(layout.SV_ID, stream.sv_id.encode("ascii"))]
    if stream.dat_set:
        fields.append((layout.DAT_SET, stream.dat_set.encode("ascii")))
    fields += [
        (layout.SMP_CNT, struct.pack(">H", smp_cnt)),
        (layout.CONF_REV, struct.pack(">I", stream.conf_rev)),
    ]
    if stream.with_refr_tm:
        fields.append((layout.REFR_TM, refr_tm))
    fields.append((layout.SMP_SYNCH, bytes((smp_synch,))))
    if stream.smp_rate is not None:
        fields.append((layout.SMP_RATE, struct.pack(">H", stream.smp_rate)))
    fields.append((layout.SAMPLES, data))
    if stream.smp_mod is not None:
        fields.append((layout.SMP_MOD, struct.pack(">H", stream.smp_mod)))
    return b"".join(ber.encode(tag, content) for tag, content in fields)


class FrameBuilder:
    """Builds many frames of one stream at once."""

    def __init__(self, stream: SvStream) -> None:
        self.stream = stream
        blank = [bytes(8 * stream.channels)] * stream.asdus
        self._template = encode_frame(stream, [0] * stream.asdus, blank)
        self._places = parse(self._template).asdus

    def build(
        self,
        smp_cnt: NDArray[np.integer],
        values: NDArray[np.integer],
        quality: NDArray[np.integer] | int = 0,
        smp_synch: NDArray[np.integer] | int = GLOBAL_CLOCK,
    ) -> NDArray[np.uint8]:
        """Return frames as rows.

        Args:
            smp_cnt: Counter of each sample, (n,); n a multiple of the ASDUs in a frame.
            values: Raw INT32 values, (n, channels).
            quality: Quality words, one for all or (n, channels).
            smp_synch: One for all or (n,).

        Returns:
            (n / asdus, frame length) octets.
        """
        asdus, count = self.stream.asdus, len(smp_cnt)
        pairs = np.empty((count, self.stream.channels, 2), dtype=">u4")
        pairs[:, :, 0] = np.asarray(values).astype(np.int32).view(np.uint32)
        pairs[:, :, 1] = quality
        data = pairs.reshape(count, -1).view(np.uint8)
        counts = np.asarray(smp_cnt).astype(">u2")[:, np.newaxis].view(np.uint8)
        synch = np.empty(count, dtype=np.uint8)
        synch[:] = smp_synch
        rows = np.empty((count // asdus, len(self._template)), dtype=np.uint8)
        rows[:] = np.frombuffer(self._template, np.uint8)
        for number, place in enumerate(self._places):
            rows[:, place.smp_cnt : place.smp_cnt + 2] = counts[number::asdus]
            rows[:, place.smp_synch] = synch[number::asdus]
            rows[:, place.samples : place.samples + data.shape[1]] = data[number::asdus]
        return rows
