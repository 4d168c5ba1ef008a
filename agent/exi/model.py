"""What a set of XSD files says, as plain data: the input of the grammars and the disk cache.

Nothing here can run code, so a cached model is only ever as harmful as a wrong schema.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

FORMAT: Final = 1
"""Rises whenever these structures change, so that an old cache is not read."""


class Kind(IntEnum):
    """Built-in EXI datatype representations that ISO 15118 uses (EXI 1.0, clause 7.1)."""

    UNSIGNED = 0
    """7.1.6 Unsigned Integer."""
    SIGNED = 1
    """7.1.5 Integer with a sign bit."""
    BOUNDED = 2
    """7.1.9 n-bit Unsigned Integer: at most 4096 values, as an offset from `low`."""
    BOOLEAN = 3
    """7.1.2 Boolean without pattern: one bit."""
    ENUMERATION = 4
    """7.2 Enumerations: the position in schema order."""
    STRING = 5
    """7.1.10 String, through the value partitions of the string table."""
    BASE64 = 6
    """7.1.1 Binary; `HEX` the same, shown as hexadecimal."""
    HEX = 7


class Datatype(msgspec.Struct, frozen=True, array_like=True):
    """How a simple value is written.

    Attributes:
        low, high: Inclusive bounds of an integer; None where it has none.
        values: Literals of an enumeration, in schema order.
    """

    kind: Kind
    low: int | None = None
    high: int | None = None
    values: tuple[str, ...] = ()


class Attribute(msgspec.Struct, frozen=True, array_like=True):
    """An attribute of a complex type."""

    name: str
    namespace: str
    datatype: Datatype
    required: bool


class Reference(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """Particle: one element, by its index in `Schema.elements`."""

    element: int


class Sequence(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Particle: all of these, in order."""

    items: tuple[Particle, ...] = ()


class Choice(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Particle: one of these."""

    items: tuple[Particle, ...] = ()


class Repeat(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Particle: `low` to `high` times `item`; `high` None is unbounded."""

    low: int
    high: int | None
    item: Particle


class Wildcard(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """Particle: any element (only in XML Signature; takes an event code, is never used)."""


Particle = Reference | Sequence | Choice | Repeat | Wildcard


class TypeDefinition(msgspec.Struct, frozen=True, array_like=True):
    """Content of an element.

    Attributes:
        attributes: In EXI's order: by local name (EXI 1.0, clause 8.5.4.1.3).
        text: Datatype of simple content; None where the content is elements.
        content: Particle of element content.
        mixed: Character data may stand between the elements.
    """

    attributes: tuple[Attribute, ...] = ()
    text: Datatype | None = None
    content: Particle = Sequence()
    mixed: bool = False


class Element(msgspec.Struct, frozen=True, array_like=True):
    """An element declaration; `type` is an index into `Schema.types`."""

    name: str
    namespace: str
    type: int


class Schema(msgspec.Struct, frozen=True, array_like=True):
    """One root schema with everything it imports.

    Attributes:
        documents: Global elements, sorted by local name then namespace: the event codes of
            `DocContent` (EXI 1.0, clause 8.5.1).
        fragments: All distinct element names, sorted likewise: those of `FragmentContent`
            (clause 8.5.2).
    """

    elements: tuple[Element, ...]
    types: tuple[TypeDefinition, ...]
    documents: tuple[int, ...]
    fragments: tuple[int, ...]
