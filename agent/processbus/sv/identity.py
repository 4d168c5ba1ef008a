"""Which stream a frame belongs to, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.processbus.sv.channels import ChannelMap
from agent.processbus.sv.layout import SvLayout


@dataclass(frozen=True, slots=True)
class SvIdentity:
    """What makes two frames parts of one stream, whatever their layout."""

    sv_id: str
    appid: int
    source: bytes
    destination: bytes
    simulated: bool

    @classmethod
    def of(cls, layout: SvLayout) -> SvIdentity:
        """Return the identity that a layout shows."""
        header = layout.header
        return cls(layout.sv_id, header.appid, header.source, header.destination, header.simulated)


@dataclass(frozen=True, slots=True)
class SvExpectation:
    """What the station's SCL says about one stream that we subscribe to.

    Attributes:
        control_block: Reference of the sampled value control block, for LSVS.
        destination: Multicast address, empty where the SCL has none. `appid` likewise -1.
        rate_hz: Samples per second, 0 where the SCL does not say.
    """

    control_block: str
    sv_id: str
    conf_rev: int
    channels: ChannelMap
    rate_hz: int = 0
    appid: int = -1
    destination: bytes = b""
    dat_set: str = ""

    def matches(self, layout: SvLayout) -> bool:
        """Whether frames of this layout claim to be this stream."""
        header = layout.header
        return (
            layout.sv_id == self.sv_id
            and self.appid in (-1, header.appid)
            and self.destination in (b"", header.destination)
        )
