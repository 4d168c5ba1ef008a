"""The Communication section of an SCL file as written (IEC 61850-6 Ed. 2.1, 9.4)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class PAddress(msgspec.Struct, frozen=True, gc=False):
    """The P parameters of an Address, by type."""

    parameters: Mapping[str, str]
    line: int

    def get(self, kind: str) -> str:
        """Parameter of that type (``IP``, ``MAC-Address``, ``APPID``…), or empty."""
        return self.parameters.get(kind, "")


class CbAddress(msgspec.Struct, frozen=True, gc=False):
    """GSE or SMV of a ConnectedAP: where a control block sends.

    Attributes:
        min_time_ms: First repetition interval of GOOSE in milliseconds, or None.
        max_time_ms: Heartbeat of GOOSE in milliseconds, or None.
    """

    ld_inst: str
    cb_name: str
    address: PAddress
    line: int
    min_time_ms: int | None = None
    max_time_ms: int | None = None


class ConnectedAp(msgspec.Struct, frozen=True, gc=False):
    """The addresses of one access point on one subnetwork."""

    ied_name: str
    ap_name: str
    line: int
    address: PAddress | None = None
    gse: tuple[CbAddress, ...] = ()
    smv: tuple[CbAddress, ...] = ()


class SubNetwork(msgspec.Struct, frozen=True, gc=False):
    """A subnetwork and the access points connected to it."""

    name: str
    line: int
    type: str = ""
    bit_rate: str = ""
    connected: tuple[ConnectedAp, ...] = ()
