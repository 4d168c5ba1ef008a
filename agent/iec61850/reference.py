"""ObjectReference: the name of anything in a server (IEC 61850-7-2 Ed. 2.1, 22.2)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from agent.errors import DecodeError
from agent.iec61850.fc import FC

MAX_LENGTH: Final = 129
"""ObjectReference is VisString129 (IEC 61850-7-2 Ed. 2.1, 6.2.3.4)."""

_ACSI = re.compile(
    r"(?P<ld>[^/.$\[\]()]+)/(?P<ln>[^/.$\[\]()]+)"
    r"(?P<path>(?:\.[^/.$\[\]()]+(?:\(\d+\))?)*)(?:\[(?P<fc>[A-Z]{2})\])?",
    re.ASCII,
)


class ObjectReference(msgspec.Struct, frozen=True, order=True):
    """Logical device, logical node, path below it and, for attributes, the constraint.

    The logical device is the name clients see: the LDevice's ldName, or IED name and inst.
    An array element is written with its index: ``HarmMag(3)``.

    Attributes:
        ld: Name of the logical device, ``V2G1LD0``.
        ln: Name of the logical node, ``MMXU1``.
        path: Names below the node, ``("Hz", "mag", "f")``.
        fc: Functional constraint, or None where the reference leaves it open.
    """

    ld: str
    ln: str
    path: tuple[str, ...] = ()
    fc: FC | None = None

    @classmethod
    def parse(cls, text: str) -> ObjectReference:
        """The reference written ``LD/LN.DO.DA[FC]`` (ACSI) or ``LD/LN$FC$DO$DA`` (MMS).

        Raises:
            DecodeError: The text is neither.
        """
        if "$" in text:
            return cls._parse_mms(text)
        match = _ACSI.fullmatch(text)
        if match is None:
            raise DecodeError(f"{text!r} is not an object reference LD/LN.DO.DA[FC]")
        path = tuple(match["path"].split(".")[1:])
        return cls(match["ld"], match["ln"], path, _fc(match["fc"], text) if match["fc"] else None)

    @classmethod
    def _parse_mms(cls, text: str) -> ObjectReference:
        ld, slash, item = text.partition("/")
        parts = item.split("$")
        if not (ld and slash and all(parts)):
            raise DecodeError(f"{text!r} is not an MMS variable name LD/LN$FC$DO$DA")
        return cls(ld, parts[0], tuple(parts[2:]), _fc(parts[1], text))

    def __str__(self) -> str:
        return f"{self.acsi}[{self.fc}]" if self.fc else self.acsi

    @property
    def acsi(self) -> str:
        """The reference without its constraint: ``LD/LN.DO.DA``."""
        return f"{self.ld}/" + ".".join((self.ln, *self.path))

    @property
    def mms_item(self) -> str:
        """The MMS item name below the domain (IEC 61850-8-1 Ed. 2.1, 7.3): ``LN$FC$DO$DA``."""
        head = (self.ln,) if self.fc is None else (self.ln, str(self.fc))
        return "$".join(head + self.path)

    @property
    def data_object(self) -> str:
        """Name of the data object, empty for a logical node."""
        return self.path[0] if self.path else ""

    def child(self, name: str) -> ObjectReference:
        """The reference one level below."""
        return ObjectReference(self.ld, self.ln, (*self.path, name), self.fc)

    def with_fc(self, fc: FC | None) -> ObjectReference:
        """The same object under another constraint."""
        return ObjectReference(self.ld, self.ln, self.path, fc)


def _fc(text: str, reference: str) -> FC:
    try:
        return FC(text)
    except ValueError:
        raise DecodeError(f"{reference!r}: {text!r} is not a functional constraint") from None
