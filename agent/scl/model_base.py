"""What several sections of an SCL file share: Private and Val."""

from __future__ import annotations

import msgspec


class Private(msgspec.Struct, frozen=True, gc=False):
    """A Private element, kept verbatim.

    Attributes:
        type: The owner's name for the content.
        xml: The element as UTF-8 XML with the namespace declarations it needs.
    """

    type: str
    xml: bytes
    line: int


class Value(msgspec.Struct, frozen=True, gc=False):
    """A Val element: text, and the setting group it belongs to (0: every group)."""

    text: str
    s_group: int = 0
