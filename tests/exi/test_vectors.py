"""All reference messages, both ways, byte for byte (902 vectors of the EXIficient codec)."""

from __future__ import annotations

from typing import Any

from agent.exi import ExiCodec, Namespace
from tests.exi.samples import Vector


def test_there_are_vectors_of_every_protocol(vectors: list[Vector]) -> None:
    assert len(vectors) == 902
    assert {vector.namespace for vector in vectors} == set(Namespace)


def test_encoding_is_byte_identical(codec: ExiCodec, vectors: list[Vector]) -> None:
    for vector in vectors:
        encode = codec.encode_fragment if vector.is_fragment else codec.encode
        assert encode(vector.message, vector.namespace) == vector.data, vector.message


def test_decoding_gives_the_same_message(codec: ExiCodec, vectors: list[Vector]) -> None:
    for vector in vectors:
        if vector.decoded:
            assert codec.decode(vector.data, vector.namespace) == vector.message


def test_decoding_and_encoding_again_gives_the_same_bytes(
    codec: ExiCodec, vectors: list[Vector]
) -> None:
    for vector in vectors:
        if vector.is_fragment:
            message = codec.decode_fragment(vector.data, vector.namespace)
            assert codec.encode_fragment(message, vector.namespace) == vector.data
        else:
            message = codec.decode(vector.data, vector.namespace)
            assert codec.encode(message, vector.namespace) == vector.data


def test_keys_may_come_in_any_order(codec: ExiCodec, vectors: list[Vector]) -> None:
    for vector in vectors[::20]:
        encode = codec.encode_fragment if vector.is_fragment else codec.encode
        assert encode(_reversed(vector.message), vector.namespace) == vector.data


def test_the_signed_emaid_uses_the_relaxed_fragment_grammar(codec: ExiCodec) -> None:
    # EXI 1.0 clause 8.5.3: two types of ISO 15118-2 declare an element eMAID.
    message = {"eMAID": {"Id": "id4", "value": "DEABCC123ABC56"}}
    data = bytes.fromhex("80ec0202b4b21a40041111505090d0cc4c8cd05090cd4dbd3d00")
    assert codec.encode_fragment(message, Namespace.ISO_2) == data
    assert codec.decode_fragment(data, Namespace.ISO_2) == message


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [_reversed(item) for item in value]
    return value
