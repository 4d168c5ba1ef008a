"""GOOSE control blocks that the station's SCL binds to our inputs.

Where an ExtRef has an internal address such as `goose.Hz.value` or `goose.islanded.value`, that is
its meaning; else MMXU.Hz is a frequency and the position of an XCBR or XSWI the breaker's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.iec61850 import BasicType, ObjectReference
from agent.processbus.goose.signals import Signal, SignalKind
from agent.processbus.goose.subscription import LONGEST_LIFE_S, GooseExpectation
from agent.processbus.goose.values import DataTag
from agent.processbus.members import ln_class, sibling
from agent.scl import Stream, Subscription, Subscriptions

_ADDRESS: Final = re.compile(r"goose\.(Hz|breaker_closed|islanded|interlock)\.(value|q|t)")
_LIFE_FACTOR: Final = 3.0
"""A time to live beyond this many heartbeats is not believed."""
_INTEGERS: Final = frozenset({DataTag.INTEGER, DataTag.UNSIGNED})


@dataclass(frozen=True, slots=True)
class GooseBinding:
    """One GOOSE subscription and the signals that are read from it."""

    expected: GooseExpectation
    signals: tuple[Signal, ...]
    source: str


def goose_bindings(subscriptions: Subscriptions) -> tuple[GooseBinding, ...]:
    """Return the GOOSE subscriptions of the IED with the signals that are read from them."""
    return tuple(
        GooseBinding(
            _goose_expectation(subscription.stream),
            tuple(_signals(subscription)),
            subscription.stream.cb_reference,
        )
        for subscription in subscriptions.streams
        if subscription.stream.kind == "GOOSE"
    )


def _goose_expectation(stream: Stream) -> GooseExpectation:
    address = stream.address
    life_s = LONGEST_LIFE_S
    if address and address.max_time_ms:
        life_s = min(life_s, max(_LIFE_FACTOR * address.max_time_ms / 1000, 1.0))
    return GooseExpectation(
        control_block=stream.cb_reference,
        dat_set=stream.data_set,
        go_id=stream.id,
        appid=address.app_id if address else -1,
        vlan_id=address.vlan_id if address else -1,
        destination=address.mac if address else b"",
        conf_rev=stream.conf_rev,
        types=tuple(_TAGS.get(value.b_type) for value in stream.values) if stream.complete else (),
        members=stream.members,
        longest_life_s=life_s,
    )


_TAGS: Final[dict[BasicType, frozenset[DataTag]]] = {
    BasicType.BOOLEAN: frozenset({DataTag.BOOLEAN}),
    BasicType.FLOAT32: frozenset({DataTag.FLOATING_POINT}),
    BasicType.FLOAT64: frozenset({DataTag.FLOATING_POINT}),
    BasicType.QUALITY: frozenset({DataTag.BIT_STRING}),
    BasicType.DBPOS: frozenset({DataTag.BIT_STRING}),
    BasicType.TIMESTAMP: frozenset({DataTag.UTC_TIME}),
    BasicType.INT32: _INTEGERS,
    BasicType.INT32U: _INTEGERS,
    BasicType.ENUM: _INTEGERS,
}


def _signals(subscription: Subscription) -> Iterator[Signal]:
    stream = subscription.stream
    named: dict[SignalKind, dict[str, int]] = {}
    for binding in subscription.bindings:
        match = _ADDRESS.fullmatch(binding.ext_ref.int_addr or "")
        if match and binding.indexes:
            named.setdefault(SignalKind(match[1].lower()), {})[match[2]] = binding.indexes[0]
    for kind, parts in named.items():
        if "value" in parts:
            yield _signal(stream, kind, parts["value"], parts)
    for binding in subscription.bindings:
        for index in binding.indexes:
            usual = _usual_kind(stream.values[index].reference)
            if usual is not None and usual not in named:
                named[usual] = {}
                yield _signal(stream, usual, index, {})


def _signal(stream: Stream, kind: SignalKind, value: int, parts: dict[str, int]) -> Signal:
    return Signal(
        kind,
        value,
        parts.get("q", sibling(stream, value, "q")),
        parts.get("t", sibling(stream, value, "t")),
    )


def _usual_kind(reference: ObjectReference) -> SignalKind | None:
    kind, path = ln_class(reference), reference.path
    if kind == "MMXU" and path[0] == "Hz" and path[-1] == "f":
        return SignalKind.HZ
    if kind in ("XCBR", "XSWI") and path == ("Pos", "stVal"):
        return SignalKind.BREAKER_CLOSED
    return None
