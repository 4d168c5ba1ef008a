"""The fields that a mapping may name: dotted paths into the messages, resolved and typed once.

A path starts with what it reads from:

========================  ==========================================================
``snapshot.``             `Snapshot` (``snapshot.clock_synchronised``)
``measurement.``          the `Measurement` of the tick, with its quality
``loop.``                 `LoopView`
``settings.``             one name of `Snapshot.settings`
``status.``               `EvseStatus` of the device's EVSE, with its quality
``view.``                 `EvseView` of it (``ordered_w``, ``up_w``, ``down_w``)
``group.``                `agent.mapping.group.GroupView`: sums of the EVSEs of a group
``subscription.``         `SubscriptionHealth` of the control block that the node names
``derived.``              a function of `agent.mapping.derived`
========================  ==========================================================

A number ends a path into a tuple: ``measurement.v_phase_v.0``.
"""

from __future__ import annotations

import difflib
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from agent.mapping.derived import DERIVED
from agent.mapping.group import GroupView
from agent.messages import (
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    Snapshot,
    SubscriptionHealth,
    Validity,
)

Value = bool | int | float | str


class Scope(StrEnum):
    """What a mapped object belongs to; it decides which sources exist."""

    GATEWAY = "gateway"
    EVSE = "evse"
    GROUP = "group"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class Context:
    """What fields are read from at one instant; absent sources are None."""

    snapshot: Snapshot
    view: EvseView | None = None
    group: GroupView | None = None
    subscription: SubscriptionHealth | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A field at one instant; `value` None where the source does not know it."""

    value: Value | None
    quality: Validity
    t_utc_s: float


Getter = Callable[[Context], Reading]

_GATEWAY_SOURCES: Final[Mapping[str, type]] = {
    "snapshot": Snapshot,
    "measurement": Measurement,
    "loop": LoopView,
}
_SOURCES: Final[Mapping[Scope, Mapping[str, type]]] = {
    Scope.GATEWAY: _GATEWAY_SOURCES,
    Scope.EVSE: {**_GATEWAY_SOURCES, "status": EvseStatus, "view": EvseView},
    Scope.GROUP: {**_GATEWAY_SOURCES, "group": GroupView},
    Scope.SUBSCRIPTION: {**_GATEWAY_SOURCES, "subscription": SubscriptionHealth},
}

_hints: Final = functools.cache(get_type_hints)
"""Evaluating annotations is slow, and every row of a mapping file asks for the same few."""


class UnknownFieldError(ValueError):
    """A path that names nothing; the text says what is known there."""


def resolve(path: str, scope: Scope) -> tuple[Getter, type]:
    """The function that reads a path, and the type of what it returns.

    Raises:
        UnknownFieldError: The path names nothing in this scope.
    """
    head, _, rest = path.partition(".")
    if head == "derived":
        function = DERIVED.get(rest)
        if function is None:
            raise UnknownFieldError(_unknown(rest, DERIVED, "derived."))
        return _derived(function), _without_none(_hints(function)["return"])
    if head == "settings" and rest:
        return _setting(rest), float
    sources = _SOURCES[scope]
    if head not in sources or not rest:
        raise UnknownFieldError(_unknown(head, (*sources, "settings", "derived"), ""))
    kind = _leaf_type(sources[head], rest.split("."), head)
    return _GETTERS[head](rest.split(".")), kind


def _leaf_type(source: type, names: list[str], path: str) -> type:
    hint: Any = source
    for name in names:
        hint = _without_none(hint)
        if get_origin(hint) is tuple and name.isdigit():
            hint = get_args(hint)[0]
            continue
        if not (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
            raise UnknownFieldError(f"{path} has no parts")
        hints = _hints(hint)
        properties = {
            key: _hints(member.fget)["return"]
            for key, member in vars(hint).items()
            if isinstance(member, property) and member.fget is not None
        }
        known = {**hints, **properties}
        if name not in known or name.startswith("_"):
            raise UnknownFieldError(_unknown(name, known, f"{path}."))
        hint, path = known[name], f"{path}.{name}"
    hint = _without_none(hint)
    kinds = (bool, int, float, str)
    if not (isinstance(hint, type) and issubclass(hint, kinds)):
        raise UnknownFieldError(f"{path} is no single value")
    return hint


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (types.UnionType, typing.Union):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _unknown(name: str, known: typing.Iterable[str], prefix: str) -> str:
    names = sorted(key for key in known if not key.startswith("_"))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(names)}"
    return f"unknown field {prefix}{name} ({hint})"


def _dig(source: object, names: list[str]) -> Value | None:
    value: Any = source
    for name in names:
        if value is None:
            return None
        if name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = getattr(value, name)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    result: Value | None = value
    return result


def _plain(pick: Callable[[Context], object | None]) -> Callable[[list[str]], Getter]:
    """Fields of the control's own making: good, as old as the snapshot."""

    def of(names: list[str]) -> Getter:
        def read(context: Context) -> Reading:
            value = _dig(pick(context), names)
            return Reading(value, Validity.GOOD, context.snapshot.t_utc_s)

        return read

    return of


def _measured(names: list[str]) -> Getter:
    def read(context: Context) -> Reading:
        measurement = context.snapshot.measurement
        if measurement is None:
            return Reading(None, Validity.INVALID, context.snapshot.t_utc_s)
        return Reading(_dig(measurement, names), measurement.quality, measurement.t_utc_s)

    return read


def _status(names: list[str]) -> Getter:
    def read(context: Context) -> Reading:
        status = context.view.status if context.view is not None else None
        if status is None:
            return Reading(None, Validity.INVALID, context.snapshot.t_utc_s)
        quality = status.quality if status.online else Validity.INVALID
        return Reading(_dig(status, names), quality, status.t_utc_s)

    return read


def _setting(name: str) -> Getter:
    def read(context: Context) -> Reading:
        value = context.snapshot.settings.get(name)
        return Reading(value, Validity.GOOD, context.snapshot.t_utc_s)

    return read


def _derived(function: Callable[..., Value | None]) -> Getter:
    def read(context: Context) -> Reading:
        value = function(context.snapshot, context.view, context.group)
        return Reading(value, Validity.GOOD, context.snapshot.t_utc_s)

    return read


_GETTERS: Final[Mapping[str, Callable[[list[str]], Getter]]] = {
    "snapshot": _plain(lambda context: context.snapshot),
    "loop": _plain(lambda context: context.snapshot.loop),
    "view": _plain(lambda context: context.view),
    "group": _plain(lambda context: context.group),
    "subscription": _plain(lambda context: context.subscription),
    "measurement": _measured,
    "status": _status,
}
