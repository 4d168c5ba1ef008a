"""How much of a file or a model is too much: limits against hostile and broken input."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of reading and expanding; each refusal names the limit it met.

    Attributes:
        max_bytes: Size of the file.
        max_depth: Nesting of elements below a section of the file (SCL itself needs about 20).
        max_attributes: Attributes of one element.
        max_model_nodes: Data objects and attributes of one expanded IED.
        max_type_depth: Nesting of SDO and Struct in the types (recursion is found before that).
    """

    max_bytes: int = 512 << 20
    max_depth: int = 64
    max_attributes: int = 64
    max_model_nodes: int = 2_000_000
    max_type_depth: int = 32


DEFAULT_LIMITS = Limits()
