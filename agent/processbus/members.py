"""Values of a stream as its SCL describes them: which belongs to which."""

from __future__ import annotations

import re

from agent.iec61850 import ObjectReference
from agent.scl import Stream


def sibling(stream: Stream, value: int, name: str) -> int:
    """Position of q or t of the data object that a value belongs to; -1 where it is not sent."""
    reference = stream.values[value].reference
    data_object = (reference.ld, reference.ln, reference.path[:1])
    for index, other in enumerate(stream.values):
        place = (other.reference.ld, other.reference.ln, other.reference.path[:1])
        if place == data_object and other.reference.path[-1] == name:
            return index
    return -1


def ln_class(reference: ObjectReference) -> str:
    """Class of the logical node of a reference; empty where its name has none."""
    match = re.search(r"([A-Z]{4})\d*$", reference.ln)
    return match[1] if match else ""
