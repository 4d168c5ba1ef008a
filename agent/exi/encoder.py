"""Plain data → EXI: walks a message and its grammar side by side."""

from __future__ import annotations

from typing import Any, Final

from agent.exi.bits import BitWriter
from agent.exi.errors import EncodeError
from agent.exi.grammar import Grammars
from agent.exi.states import Production, State, Type

HEADER: Final = 0x80
"""Distinguishing bits 10, no options, final version 1 (EXI 1.0, clause 5)."""


def encode_document(grammars: Grammars, name: str, value: object) -> bytes:
    """Return a document with one global element.

    Raises:
        EncodeError: The schema does not allow the message.
    """
    code = grammars.document_codes.get(name)
    if code is None:
        raise EncodeError("is not a global element of this schema", name)
    writer = BitWriter()
    writer.bits(HEADER, 8)
    writer.bits(code, grammars.document_width)
    _write_element(writer, grammars.type(grammars.documents[code]), name, value)
    return writer.finish()


def encode_fragment(grammars: Grammars, name: str, value: object) -> bytes:
    """Return a fragment with one element, as signatures are made over (EXI 1.0, 8.5.2).

    Raises:
        EncodeError: The schema does not allow the element.
    """
    code = grammars.fragment_codes.get(name)
    if code is None:
        raise EncodeError("is not an element of this schema", name)
    writer = BitWriter()
    writer.bits(HEADER, 8)
    writer.bits(code, grammars.fragment_width)
    _write_element(writer, grammars.fragment_type(code), name, value)
    writer.bits(grammars.fragment_end, grammars.fragment_width)
    return writer.finish()


def _write_element(writer: BitWriter, kind: Type, name: str, value: object) -> None:
    try:
        if kind.plain is None:
            _write_content(writer, kind.start, value)
            return
        writer.bits(0, 1)  # Characters
        kind.plain.write(writer, value)
        writer.bits(0, 1)  # End Element
    except EncodeError as error:
        raise error.inside(name) from None


def _write_content(writer: BitWriter, state: State, value: object) -> None:
    if not isinstance(value, dict):
        raise EncodeError(f"{type(value).__name__} where an element with content is expected")
    left = len(value)
    previous = ""
    while left:
        for production in state.productions:  # data need not be in schema order
            if production is None:
                continue
            name = production.name
            if name in value and name != previous:
                break
        else:
            raise EncodeError(f"has {', '.join(value)}; expected here: {state.expected}")
        previous = name
        left -= 1
        item = value[name]
        if isinstance(item, list):
            state = _write_list(writer, state, production, item)
        else:
            _write_event(writer, state.width, production, item)
            state = production.next or production.enter()
    if state.end < 0:
        raise EncodeError(f"is incomplete, expected {state.expected}")
    writer.bits(state.end, state.width)


def _write_list(writer: BitWriter, state: State, first: Production, items: list[Any]) -> State:
    production: Production | None = first
    for item in items:
        if production is None:
            raise EncodeError(f"occurs more often than allowed ({len(items)} times)", first.name)
        _write_event(writer, state.width, production, item)
        state = production.next or production.enter()
        production = _same_again(state, first.name)
    return state


def _same_again(state: State, name: str) -> Production | None:
    for production in state.productions:
        if production is not None and production.name == name:
            return production
    return None


def _write_event(writer: BitWriter, width: int, production: Production, item: object) -> None:
    try:
        value, kind = production.value, production.type
        if value is None:
            writer.bits(production.code, width)
            assert kind is not None  # noqa: S101 - a production has a value or a type
            _write_content(writer, kind.start, item)
        elif production.field_width:
            # Start Element, Characters (0), value and End Element (0) in one field.
            field_width = production.field_width
            bits = production.code << field_width | value.to_bits(item) << 1
            writer.bits(bits, width + field_width)
        elif kind is None:
            writer.bits(production.code, width)
            value.write(writer, item)
        else:
            writer.bits(production.code << 1, width + 1)
            value.write(writer, item)
            writer.bits(0, 1)
    except EncodeError as error:
        raise error.inside(production.name) from None
