"""EXI → plain data: follows the event codes; whatever is not declared is refused."""

from __future__ import annotations

from typing import Any, Final

from agent.exi.bits import BitReader
from agent.exi.datatypes import QName, Scalar, StringTable, Value
from agent.exi.encoder import HEADER
from agent.exi.errors import ExiDecodeError
from agent.exi.grammar import Grammars
from agent.exi.states import Production, State, Type

_UNDECLARED: Final = "content that the schema does not declare"


def decode_document(grammars: Grammars, data: bytes) -> dict[str, Any]:
    """Return `{name: content}` of a document.

    Raises:
        ExiDecodeError: The bytes are not a document of this schema.
    """
    reader = _open(data)
    code = reader.bits(grammars.document_width)
    if code >= len(grammars.documents):
        raise ExiDecodeError(f"event {code} starts no message of this schema")
    element = grammars.documents[code]
    message = _read_root(reader, grammars.type(element), grammars.qname(element))
    _check_end(reader)
    return message


def decode_fragment(grammars: Grammars, data: bytes) -> dict[str, Any]:
    """Return `{name: content}` of a fragment with one element.

    Raises:
        ExiDecodeError: The bytes are not such a fragment of this schema.
    """
    reader = _open(data)
    code = reader.bits(grammars.fragment_width)
    if code >= len(grammars.fragments):
        raise ExiDecodeError(f"event {code} starts no element of this schema")
    qname = grammars.qname(grammars.fragments[code])
    message = _read_root(reader, grammars.fragment_type(code), qname)
    if reader.bits(grammars.fragment_width) != grammars.fragment_end:
        raise ExiDecodeError("a second element follows the fragment")
    _check_end(reader)
    return message


def _open(data: bytes) -> BitReader:
    if not data or data[0] != HEADER:
        raise ExiDecodeError("the EXI header is not 0x80")
    return BitReader(data, start=8)


def _check_end(reader: BitReader) -> None:
    if reader.remaining > 7:
        raise ExiDecodeError(f"{reader.remaining // 8} octets follow the end of the message")


def _read_root(reader: BitReader, kind: Type, name: QName) -> dict[str, Any]:
    return {name[1]: _read_element(reader, StringTable(), kind, name)}


def _read_element(reader: BitReader, strings: StringTable, kind: Type, name: QName) -> Any:
    try:
        if kind.plain is None:
            return _read_content(reader, strings, kind.start, name)
        return _read_plain(reader, strings, kind.plain, name)
    except ExiDecodeError as error:
        raise error.inside(name[1]) from None


def _read_plain(reader: BitReader, strings: StringTable, value: Value, name: QName) -> Scalar:
    if reader.bits(1):
        raise ExiDecodeError(_UNDECLARED)
    item = value.read(reader, strings, name)
    if reader.bits(1):
        raise ExiDecodeError(_UNDECLARED)
    return item


def _read_content(
    reader: BitReader, strings: StringTable, state: State, name: QName
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    while True:
        code = reader.bits(state.width)
        if code == state.end:
            return content
        production = state.productions[code] if code < len(state.productions) else None
        if production is None:
            raise ExiDecodeError(f"event {code} is not declared; expected {state.expected}")
        try:
            item = _read_event(reader, strings, production, name)
        except ExiDecodeError as error:
            raise error.inside(production.name) from None
        key = production.name
        if key in content:
            _append(content, key, item)
        else:
            content[key] = [item] if production.repeated else item
        state = production.next or production.enter()


def _read_event(
    reader: BitReader, strings: StringTable, production: Production, parent: QName
) -> Any:
    value, kind = production.value, production.type
    name = production.qname or parent
    if value is None:
        assert kind is not None  # noqa: S101 - a production has a value or a type
        return _read_content(reader, strings, kind.start, name)
    if production.field_width:
        # Characters (0), value and End Element (0) in one field.
        bits = reader.bits(production.field_width)
        if bits & 1 or bits >> (production.field_width - 1):
            raise ExiDecodeError(_UNDECLARED)
        return value.from_bits(bits >> 1)
    if kind is None:
        return value.read(reader, strings, name)
    return _read_plain(reader, strings, value, name)


def _append(content: dict[str, Any], name: str, item: Any) -> None:
    present = content[name]
    if isinstance(present, list):
        present.append(item)
    else:
        content[name] = [present, item]
