"""Facts of the namespaces: what a class, a CDC or an enumeration consists of.

IEC 61850-7-3 and -7-4 (2007B5), -7-420 (2019A4) and -8-1 (2003A2) from their NSD code components:
names, types and presence. The classes DEEV, DESE, DEAO and DEDO are those of TR 61850-90-8:2016,
which published no NSD; presence is not established for them, so only Beh counts as mandatory.
The data knows the classes this project uses and those a substation shows it, not all of 7-4.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeVar

import msgspec

NS_7_4: Final = "IEC 61850-7-4:2007B5"
NS_7_420: Final = "IEC 61850-7-420:2019A4"
NS_90_8: Final = "(Tr) IEC 61850-90-8:2015"


class AttributeFact(msgspec.Struct, frozen=True, array_like=True):
    """A data attribute of a CDC.

    Attributes:
        kind: B basic, C constructed (`type` in :func:`constructed`), E enumerated; an empty
            `type` of kind E is the enumeration that the data object names.
        presence: Condition of the NSD: ``M``, ``O``, ``MFsubst``…
        triggers: Letters d, q, u for dchg, qchg, dupd.
    """

    fc: str
    type: str
    kind: Literal["B", "C", "E"]
    presence: str
    argument: str
    triggers: str
    array: bool


class SubObjectFact(msgspec.Struct, frozen=True, array_like=True):
    """A sub data object of a CDC."""

    cdc: str
    presence: str
    argument: str


class CdcFact(msgspec.Struct, frozen=True):
    """A common data class; ``ctl_val`` is type and kind of its control value."""

    attributes: dict[str, AttributeFact]
    objects: dict[str, SubObjectFact] = {}
    ctl_val: tuple[str, str] | None = msgspec.field(name="ctlVal", default=None)


class MemberFact(msgspec.Struct, frozen=True, array_like=True):
    """A member of a constructed attribute class."""

    type: str
    kind: Literal["B", "C", "E"]
    presence: str
    argument: str


class ObjectFact(msgspec.Struct, frozen=True, array_like=True):
    """A data object of a logical node class; ``type`` is its enumeration or underlying type."""

    cdc: str
    type: str
    presence: str
    argument: str
    transient: bool


class LnClassFact(msgspec.Struct, frozen=True):
    """A logical node class with inherited objects."""

    namespace: str
    objects: dict[str, ObjectFact]


class _Cdcs(msgspec.Struct):
    cdc: dict[str, CdcFact]
    constructed: dict[str, dict[str, MemberFact]]
    control: dict[str, list[tuple[str, str, str]]]


class _Classes(msgspec.Struct):
    classes: dict[str, LnClassFact]


class _Enums(msgspec.Struct):
    enums: dict[str, list[tuple[int, str]]]


T = TypeVar("T")


def _load(name: str, kind: type[T]) -> T:
    data = files(__package__).joinpath("data", name).read_bytes()
    return msgspec.json.decode(data, type=kind)


@lru_cache(maxsize=1)
def _cdcs() -> _Cdcs:
    return _load("cdc.json", _Cdcs)


@lru_cache(maxsize=1)
def _classes() -> _Classes:
    return _load("ln.json", _Classes)


@lru_cache(maxsize=1)
def _enums() -> _Enums:
    return _load("enums.json", _Enums)


def ln_class(name: str) -> LnClassFact | None:
    """The logical node class of that name, None where the data does not know it."""
    return _classes().classes.get(name)


def object_fact(class_name: str, object_name: str) -> ObjectFact | None:
    """The data object of a class; ``Ind12`` is an instance of the multiple object ``Ind``."""
    known = ln_class(class_name)
    if known is None:
        return None
    fact = known.objects.get(object_name)
    if fact is not None:
        return fact
    fact = known.objects.get(object_name.rstrip("0123456789"))
    return fact if fact is not None and "multi" in fact.presence else None


def cdc(name: str, fc: str = "SP") -> CdcFact | None:
    """The common data class; settings exist for fc SP, SG and SE."""
    known = _cdcs().cdc
    return known.get(name) or known.get(f"{name}[{fc}]")


def constructed(name: str) -> dict[str, MemberFact] | None:
    """Members of a constructed attribute class (``AnalogueValue``, ``Unit``)."""
    return _cdcs().constructed.get(name)


def control_structure(name: str) -> list[tuple[str, str, str]]:
    """Members of SBOw, Oper or Cancel: name, type, presence (IEC 61850-8-1 Ed. 2.1, 20)."""
    return _cdcs().control[name]


def enumeration(name: str) -> dict[int, str] | None:
    """Ordinals and texts of an enumeration of the standard."""
    values = _enums().enums.get(name)
    return None if values is None else dict(values)
