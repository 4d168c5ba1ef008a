"""Datatypes of XML Schema 1.0 part 2 → their EXI representation (EXI 1.0, clause 7 and 7.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent.exi.model import Datatype, Kind

XSD: Final = "http://www.w3.org/2001/XMLSchema"
MAX_BOUNDED_RANGE: Final = 4096
"""Integers of at most so many values are n-bit Unsigned Integers (clause 7.1.9)."""

_BOUNDS: Final[dict[str, tuple[int | None, int | None]]] = {
    "integer": (None, None),
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "long": (-(2**63), 2**63 - 1),
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-(2**7), 2**7 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedByte": (0, 2**8 - 1),
}
_KINDS: Final = {
    "boolean": Kind.BOOLEAN,
    "base64Binary": Kind.BASE64,
    "hexBinary": Kind.HEX,
}


def built_in(name: str) -> Datatype:
    """Return the representation of a built-in type; everything that has no own one is a string."""
    if name in _BOUNDS:
        return integer(*_BOUNDS[name])
    return Datatype(_KINDS.get(name, Kind.STRING))


def integer(low: int | None, high: int | None) -> Datatype:
    """Return the representation of an integer with inclusive bounds (clause 7.1.5)."""
    if low is not None and high is not None and high - low < MAX_BOUNDED_RANGE:
        return Datatype(Kind.BOUNDED, low, high)
    return Datatype(Kind.UNSIGNED if low is not None and low >= 0 else Kind.SIGNED, low, high)


def restrict(base: Datatype, facets: Iterable[tuple[str, str]]) -> Datatype:
    """Return the representation of `base` with facets; lengths change no bits and are ignored."""
    values: list[str] = []
    low, high = base.low, base.high
    for facet, value in facets:
        if facet == "enumeration":
            values.append(value)
        elif facet == "minInclusive":
            low = int(value)
        elif facet == "maxInclusive":
            high = int(value)
    if values:
        return Datatype(Kind.ENUMERATION, values=tuple(values))
    if base.kind in (Kind.UNSIGNED, Kind.SIGNED, Kind.BOUNDED):
        return integer(low, high)
    return base
