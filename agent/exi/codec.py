"""What callers use: messages of DIN SPEC 70121, ISO 15118-2 and ISO 15118-20 ↔ EXI.

A message is `{name: content}` of dicts, lists, strings, integers and booleans. Attributes and
child elements are keys; the text of an element with attributes is under `value`; an element that
may repeat is a list, also with one item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from agent.exi.cache import load_schema
from agent.exi.decoder import decode_document, decode_fragment
from agent.exi.encoder import encode_document, encode_fragment
from agent.exi.errors import EncodeError, ExiDecodeError
from agent.exi.grammar import Grammars

MAX_MESSAGE: Final = 1 << 16
"""Octets of the longest message that is decoded; certificate chains take about 6,000."""


class Namespace(StrEnum):
    """Schemas of the protocols, by target namespace."""

    APP_PROTOCOL = "urn:iso:15118:2:2010:AppProtocol"
    DIN_70121 = "urn:din:70121:2012:MsgDef"
    ISO_2 = "urn:iso:15118:2:2013:MsgDef"
    ISO_20_COMMON = "urn:iso:std:iso:15118:-20:CommonMessages"
    ISO_20_AC = "urn:iso:std:iso:15118:-20:AC"
    ISO_20_DC = "urn:iso:std:iso:15118:-20:DC"
    XML_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"


SCHEMA_FILES: Final = {
    Namespace.APP_PROTOCOL: "V2G_CI_AppProtocol.xsd",
    Namespace.DIN_70121: "din_spec/V2G_CI_MsgDef.xsd",
    Namespace.ISO_2: "iso15118_2/V2G_CI_MsgDef.xsd",
    Namespace.ISO_20_COMMON: "iso15118_20/V2G_CI_CommonMessages.xsd",
    Namespace.ISO_20_AC: "iso15118_20/V2G_CI_AC.xsd",
    Namespace.ISO_20_DC: "iso15118_20/V2G_CI_DC.xsd",
    Namespace.XML_SIGNATURE: "xmldsig-core-schema.xsd",
}


class ExiCodec:
    """Encodes and decodes messages; grammars are loaded when a namespace is first used.

    Args:
        schemas: Folder with the standards' XSD files (`V2G_CI_AppProtocol.xsd`, `din_spec/`,
            `iso15118_2/`, `iso15118_20/`, `xmldsig-core-schema.xsd`).
        cache: Folder for compiled schemas; None compiles them at every start.
    """

    def __init__(self, schemas: Path, cache: Path | None = None) -> None:
        self._schemas = schemas
        self._cache = cache
        self._grammars: dict[str, Grammars] = {}

    def load(self, namespaces: Iterable[Namespace] = tuple(Namespace)) -> None:
        """Load grammars ahead of the first message.

        Raises:
            ConfigurationError: A schema cannot be read or is not supported.
        """
        for namespace in namespaces:
            self._grammars_of(namespace)

    def encode(self, message: Mapping[str, Any], namespace: str) -> bytes:
        """Return the EXI document of a message.

        Raises:
            EncodeError: The schema does not allow the message, or has no such namespace.
        """
        name, content = _root(message)
        return encode_document(self._for_encoding(namespace), name, content)

    def encode_fragment(self, message: Mapping[str, Any], namespace: str) -> bytes:
        """Return the EXI fragment of one element, the input of its signature's digest.

        Raises:
            EncodeError: The schema does not allow the element, or has no such namespace.
        """
        name, content = _root(message)
        return encode_fragment(self._for_encoding(namespace), name, content)

    def decode(self, data: bytes, namespace: str) -> dict[str, Any]:
        """Return the message in an EXI document; linear in time and memory in `data`.

        Raises:
            DecodeError: The bytes are not a message of the namespace.
        """
        return decode_document(self._for_decoding(data, namespace), data)

    def decode_fragment(self, data: bytes, namespace: str) -> dict[str, Any]:
        """Return the element in an EXI fragment.

        Raises:
            DecodeError: The bytes are not an element of the namespace.
        """
        return decode_fragment(self._for_decoding(data, namespace), data)

    def is_document(self, name: str, namespace: str) -> bool:
        """Whether a namespace has a global element of this name."""
        return name in self._for_encoding(namespace).document_codes

    def _for_encoding(self, namespace: str) -> Grammars:
        if namespace not in SCHEMA_FILES:
            raise EncodeError(f"no schema for namespace {namespace!r}")
        return self._grammars_of(Namespace(namespace))

    def _for_decoding(self, data: bytes, namespace: str) -> Grammars:
        if namespace not in SCHEMA_FILES:
            raise ExiDecodeError(f"no schema for namespace {namespace!r}")
        if len(data) > MAX_MESSAGE:
            raise ExiDecodeError(f"{len(data)} octets are more than a message may have")
        return self._grammars_of(Namespace(namespace))

    def _grammars_of(self, namespace: Namespace) -> Grammars:
        found = self._grammars.get(namespace)
        if found is None:
            schema = load_schema(self._schemas / SCHEMA_FILES[namespace], self._cache)
            found = self._grammars[namespace] = Grammars(schema)
        return found


def _root(message: Mapping[str, Any]) -> tuple[str, Any]:
    if len(message) != 1:
        raise EncodeError(f"a message has one root element, not {len(message)}")
    return next(iter(message.items()))
