"""Reference vectors and a generator of schema-valid messages, for tests and benchmarks."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.exi import Namespace
from agent.exi.cache import load_schema
from agent.exi.codec import SCHEMA_FILES
from agent.exi.model import (
    Choice,
    Datatype,
    Kind,
    Particle,
    Reference,
    Repeat,
    Schema,
    Sequence,
    TypeDefinition,
    Wildcard,
)

DATA = Path(__file__).parent / "data"

SIGNED: dict[str, tuple[str, ...]] = {
    Namespace.ISO_2: (
        "AuthorizationReq",
        "CertificateInstallationReq",
        "MeteringReceiptReq",
        "SalesTariff",
        "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey",
        "DHpublickey",
        "eMAID",
    ),
    Namespace.ISO_20_COMMON: ("PnC_AReqAuthorizationMode", "OEMProvisioningCertificateChain"),
    Namespace.XML_SIGNATURE: ("SignedInfo",),
}
"""Elements that signatures are made over; they are fragments, everything else is a document."""

ABSTRACT = frozenset(
    {
        "BodyElement",
        "CLReqControlMode",
        "CLResControlMode",
        "Dynamic_CLReqControlMode",
        "Dynamic_CLResControlMode",
        "EVChargeParameter",
        "EVPowerDeliveryParameter",
        "EVSEChargeParameter",
        "EVSEStatus",
        "EVStatus",
        "Entry",
        "SASchedules",
        "Scheduled_CLReqControlMode",
        "Scheduled_CLResControlMode",
        "TimeInterval",
    }
)
"""Heads of substitution groups; only their members occur in messages."""

_EXI = "http://www.w3.org/TR/canonical-exi/"


@dataclass(frozen=True)
class Vector:
    """One message with the bytes that the EXIficient codec gave it.

    `decoded`: the message is what EXIficient made of the bytes; else what it made them from.
    """

    namespace: str
    message: dict[str, Any]
    data: bytes
    decoded: bool

    @property
    def name(self) -> str:
        return next(iter(self.message))

    @property
    def is_fragment(self) -> bool:
        return self.name in SIGNED.get(self.namespace, ())


def schema_folder() -> Path | None:
    """The XSD files, in the installed `iso15118` package (which is not imported)."""
    spec = importlib.util.find_spec("iso15118")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "shared" / "schemas"


def read_vectors() -> list[Vector]:
    with gzip.open(DATA / "messages.jsonl.gz", "rt", encoding="ascii") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Vector(namespace, json.loads(message), bytes.fromhex(data), direction == "D")
        for direction, namespace, message, data in rows
    ]


class Generator:
    """Random messages of one schema: every element, attribute and bound is met in time."""

    def __init__(self, schemas: Path, namespace: Namespace, seed: int = 15118) -> None:
        self.schema: Schema = load_schema(schemas / SCHEMA_FILES[namespace], None)
        self.namespace = namespace
        self.random = random.Random(seed)

    def kinds(self) -> list[str]:
        """Names of all messages and signed elements of this schema."""
        signed = SIGNED.get(self.namespace, ())
        if self.namespace is Namespace.XML_SIGNATURE:
            return [*signed]
        names = [self.schema.elements[index].name for index in self.schema.documents]
        messages = [name for name in names if name.endswith(("Req", "Res"))]
        if "V2G_Message" in names:
            messages = ["V2G_Message"] * 20
        return [*messages, *signed]

    def message(self, name: str) -> dict[str, Any]:
        """A random message or signed element."""
        if self.namespace is Namespace.XML_SIGNATURE:
            return {name: self.signed_info()}
        signed = name in SIGNED.get(self.namespace, ())
        roots = self.schema.fragments if signed else self.schema.documents
        index = next(index for index in roots if self.schema.elements[index].name == name)
        kind = self.schema.types[self.schema.elements[index].type]
        if name == "eMAID":  # the signed one, of the two types that share the name
            kind = next(
                self.schema.types[element.type]
                for element in self.schema.elements
                if element.name == name and self.schema.types[element.type].attributes
            )
        return {name: self._content(kind, 0)}

    def signed_info(self) -> dict[str, Any]:
        """SignedInfo as ISO 15118 profiles it; the XSD permits far more."""
        return {
            "CanonicalizationMethod": {"Algorithm": _EXI},
            "SignatureMethod": {"Algorithm": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"},
            "Reference": [
                {
                    "Transforms": {"Transform": [{"Algorithm": _EXI}]},
                    "DigestMethod": {"Algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"},
                    "DigestValue": base64.b64encode(self.random.randbytes(32)).decode(),
                    "URI": f"#id{number}",
                }
                for number in range(1, self.random.randint(2, 5))
            ],
        }

    def _content(self, kind: TypeDefinition, depth: int) -> Any:
        if kind.text is not None and not kind.attributes:
            return self._scalar(kind.text)
        content: dict[str, Any] = {
            attribute.name: self._scalar(attribute.datatype)
            for attribute in kind.attributes
            if attribute.required or self.random.random() < 0.5
        }
        if kind.text is not None:
            content["value"] = self._scalar(kind.text)
            return content
        for name, value, repeated in self._particle(kind.content, depth, False):
            if repeated:
                content.setdefault(name, []).append(value)
            else:
                content[name] = value
        return content

    def _particle(
        self, particle: Particle, depth: int, repeated: bool
    ) -> Iterator[tuple[str, Any, bool]]:
        if isinstance(particle, Reference):
            element = self.schema.elements[particle.element]
            if element.name == "Signature":
                yield element.name, self._signature(), repeated
            else:
                kind = self.schema.types[element.type]
                yield element.name, self._content(kind, depth + 1), repeated
        elif isinstance(particle, Sequence):
            for item in particle.items:
                yield from self._particle(item, depth, repeated)
        elif isinstance(particle, Choice):
            usable = [item for item in particle.items if self._usable(item)]
            if usable:
                yield from self._particle(self.random.choice(usable), depth, repeated)
        elif isinstance(particle, Repeat) and self._usable(particle.item):
            many = particle.high is None or particle.high > 1
            high = 3 if particle.high is None else min(particle.high, 3)
            for _ in range(self.random.randint(particle.low, max(particle.low, high))):
                yield from self._particle(particle.item, depth, repeated or many)

    def _usable(self, particle: Particle) -> bool:
        if isinstance(particle, Reference):
            return self.schema.elements[particle.element].name not in ABSTRACT
        return not isinstance(particle, Wildcard)

    def _signature(self) -> dict[str, Any]:
        value = base64.b64encode(self.random.randbytes(64)).decode()
        return {"SignedInfo": self.signed_info(), "SignatureValue": {"value": value}}

    def _scalar(self, datatype: Datatype) -> Any:
        rnd = self.random
        match datatype.kind:
            case Kind.BOOLEAN:
                return rnd.random() < 0.5
            case Kind.ENUMERATION:
                return rnd.choice(datatype.values)
            case Kind.STRING:
                return "".join(rnd.choices("ABCxyz0189-_.", k=rnd.randint(1, 11)))
            case Kind.BASE64:
                return base64.b64encode(rnd.randbytes(rnd.randint(1, 40))).decode()
            case Kind.HEX:
                return rnd.randbytes(rnd.randint(1, 8)).hex().upper()
            case _:
                low = -(2**31) if datatype.low is None else datatype.low
                high = 2**31 if datatype.high is None else datatype.high
                near = rnd.choice([low, high, 0, 1, 127, 128, 255, 256, rnd.randint(low, high)])
                return min(max(near, low), high)
