"""Sampled value streams that the station's SCL binds to our inputs.

Where an ExtRef has the internal address `sv.U1.i` to `sv.I3.q`, that is its meaning; else the
data set says it: the first three TVTR are the voltages, the first three TCTR the currents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.iec61850 import BasicType
from agent.processbus.members import ln_class, sibling
from agent.processbus.rates import declared_rate_hz
from agent.processbus.sv.channels import (
    CURRENT_UNIT_A,
    VOLTAGE_UNIT_V,
    ChannelMap,
    Place,
    default_channels,
)
from agent.processbus.sv.identity import SvExpectation
from agent.scl import Stream, StreamValue, Subscription, Subscriptions

_ADDRESS: Final = re.compile(r"sv\.([UI])([123])\.(i|f|q)")
_MODES: Final = {"": 0, "SmpPerPeriod": 0, "SmpPerSec": 1, "SecPerSmp": 2}


def sv_expectations(subscriptions: Subscriptions, nominal_hz: int) -> tuple[SvExpectation, ...]:
    """Return the sampled value streams that the IED subscribes to and that can be read."""
    found = (
        _sv_expectation(subscription, nominal_hz)
        for subscription in subscriptions.streams
        if subscription.stream.kind == "SMV"
    )
    return tuple(expected for expected in found if expected is not None)


def _sv_expectation(subscription: Subscription, nominal_hz: int) -> SvExpectation | None:
    stream = subscription.stream
    channels = channel_map(subscription)
    if channels is None:
        return None
    address = stream.address
    return SvExpectation(
        control_block=stream.cb_reference,
        sv_id=stream.id,
        conf_rev=stream.conf_rev,
        channels=channels,
        rate_hz=declared_rate_hz(stream.smp_rate, _MODES.get(stream.smp_mod, 0), nominal_hz),
        appid=address.app_id if address else -1,
        destination=address.mac if address else b"",
        dat_set=stream.data_set,
    )


def channel_map(subscription: Subscription) -> ChannelMap | None:
    """Return where voltages and currents are in a stream; None where that cannot be told."""
    stream = subscription.stream
    offsets = _offsets(stream)
    if offsets is None:
        return None
    data_length = offsets[-1]
    named: dict[tuple[str, int], tuple[Place, float]] = {}
    for quantity, phase, value, quality in _phases(subscription):
        place = (offsets[value], offsets[quality] if quality >= 0 else -1)
        named.setdefault((quantity, phase), (place, _unit(stream.values[value], quantity)))
    voltages = [named.get(("U", phase)) for phase in (1, 2, 3)]
    currents = [named.get(("I", phase)) for phase in (1, 2, 3)]
    if None in voltages:
        return default_channels(data_length)
    used = [one for one in (*voltages, *(currents if None not in currents else ())) if one]
    floating = {
        stream.values[value].b_type is BasicType.FLOAT32 for _, _, value, _ in _phases(subscription)
    }
    if len(floating) != 1:
        return None
    return ChannelMap(
        places=tuple(place for place, _ in used),
        units=tuple(unit for _, unit in used),
        data_length=data_length,
        floating=floating == {True},
    )


def _offsets(stream: Stream) -> list[int] | None:
    """Offset of every value in seqData, and the total; None if one has no fixed size."""
    offsets = [0]
    for value in stream.values:
        size = _SIZES.get(value.b_type)
        if size is None:
            return None
        offsets.append(offsets[-1] + size * max(value.count, 1))
    return offsets if stream.complete and len(offsets) > 1 else None


_SIZES: Final = {
    BasicType.BOOLEAN: 1,
    BasicType.INT8: 1,
    BasicType.INT16: 2,
    BasicType.INT32: 4,
    BasicType.INT64: 8,
    BasicType.INT8U: 1,
    BasicType.INT16U: 2,
    BasicType.INT32U: 4,
    BasicType.FLOAT32: 4,
    BasicType.FLOAT64: 8,
    BasicType.QUALITY: 4,
    BasicType.TIMESTAMP: 8,
    BasicType.ENUM: 4,
    BasicType.DBPOS: 4,
}
"""Octets of a value in seqData (IEC 61850-9-2 Ed. 2.1, table 14)."""


def _phases(subscription: Subscription) -> Iterator[tuple[str, int, int, int]]:
    """Yield (U or I, phase, position of the value, position of its q)."""
    stream = subscription.stream
    by_address: dict[tuple[str, int], dict[str, int]] = {}
    for binding in subscription.bindings:
        match = _ADDRESS.fullmatch(binding.ext_ref.int_addr or "")
        if match and len(binding.indexes) == 1:
            quantity, phase, part = match[1], int(match[2]), match[3]
            by_address.setdefault((quantity, phase), {})[part] = binding.indexes[0]
    if by_address:
        for (quantity, phase), parts in by_address.items():
            value = parts.get("i", parts.get("f", -1))
            if value >= 0:
                yield quantity, phase, value, parts.get("q", sibling(stream, value, "q"))
        return
    counted = {"U": 0, "I": 0}
    for index, sent in enumerate(stream.values):
        quantity = {"TVTR": "U", "TCTR": "I"}.get(ln_class(sent.reference), "")
        if quantity and sent.reference.path[-2:-1] == ("instMag",):
            counted[quantity] += 1
            yield quantity, counted[quantity], index, sibling(stream, index, "q")


def _unit(value: StreamValue, quantity: str) -> float:
    """What one count is worth: the SCL's scale factor, else that of 9-2LE."""
    if value.scale_factor is not None:
        return value.scale_factor * 10.0**value.multiplier
    if value.b_type is BasicType.FLOAT32:
        return 1.0
    return VOLTAGE_UNIT_V if quantity == "U" else CURRENT_UNIT_A
