"""The part of the state that outlives the process, as bytes."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import msgspec
import numpy as np

from agent.control.arbitration import Ledger, Order
from agent.control.attack import Offset
from agent.control.fast import Fast, Phase
from agent.control.fleet import OWN_START, REPORTED, Fleet, Own
from agent.control.parameters import Parameters
from agent.control.ride_through import Mode, RideThrough
from agent.control.state import Recall, State, initial_state
from agent.messages import ControlRequest, EvseStatus, RequestOutcome, Validity

VERSION = 1


class _Order(msgspec.Struct, array_like=True):
    request: ControlRequest
    start_s: float
    end_s: float
    answered: bool


class _Memory(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    clock_s: float
    share: float
    offset_w: float
    turns_s: tuple[float, ...]
    direction: int
    fast: Phase
    fast_s: float
    mode: Mode
    mode_reason: str
    mode_s: float
    ramp_s: float
    returns: int
    ids: list[str]
    own: bytes
    orders: list[_Order]
    outcomes: list[RequestOutcome]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Memory] = msgspec.msgpack.Decoder(_Memory)


def dump_state(state: State) -> bytes:
    """Return what the next process needs.

    Orders and their numbers, requests and their leases, trip state, the answer's level, and what
    the vehicles gave today.
    """
    fleet = state.fleet
    rows = np.flatnonzero((fleet.own.seq > 0) | (fleet.own.used_wh > 0))
    own = np.array([getattr(fleet.own, name)[rows] for name in OWN_START], dtype="<f8")
    ride = state.ride
    memory = _Memory(
        version=VERSION,
        clock_s=state.clock_s,
        share=state.share,
        offset_w=state.offset.value_w,
        turns_s=state.offset.turns_s,
        direction=state.offset.direction,
        fast=state.fast.phase,
        fast_s=state.fast.since_s,
        mode=ride.mode,
        mode_reason=ride.reason,
        mode_s=ride.since_s,
        ramp_s=ride.ramp_s,
        returns=ride.returns,
        ids=[fleet.ids[row] for row in rows.tolist()],
        own=own.tobytes(),
        orders=[_Order(o.request, o.start_s, o.end_s, o.answered) for o in state.ledger.orders],
        outcomes=list(state.ledger.outcomes.values()),
    )
    return _encoder.encode(memory)


def load_state(data: bytes, parameters: Parameters) -> State:
    """Return the state that `dump_state` wrote.

    EVSEs count as offline until their stations speak again; then each is adopted as it is.

    Raises:
        ValueError: The bytes are not a state of this version.
    """
    try:
        memory = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a control state: {error}") from error
    if memory.version != VERSION:
        raise ValueError(f"a control state of version {memory.version}, not {VERSION}")
    if len(memory.own) != 8 * len(OWN_START) * len(memory.ids):
        raise ValueError("not a control state: a part of it is missing")
    numbers = (memory.clock_s, memory.share, memory.offset_w)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("not a control state: a number is not finite")
    orders = tuple(Order(o.request, o.start_s, o.end_s, o.answered) for o in memory.orders)
    return replace(
        initial_state(parameters),
        share=min(max(memory.share, -1.0), 1.0),
        recovering=False,
        offset=Offset(memory.offset_w, memory.direction, memory.turns_s),
        fast=Fast(memory.fast, memory.fast_s),
        ride=RideThrough(
            mode=memory.mode,
            reason=memory.mode_reason,
            since_s=memory.mode_s,
            ramp_s=memory.ramp_s,
            returns=memory.returns,
        ),
        fleet=_fleet(memory),
        ledger=Ledger(orders, {outcome.request_id: outcome for outcome in memory.outcomes}),
        recall=Recall(saved_s=memory.clock_s),
    )


def _fleet(memory: _Memory) -> Fleet:
    count = len(memory.ids)
    columns = np.frombuffer(memory.own, dtype="<f8").reshape(len(OWN_START), count)
    own = dict(zip(OWN_START, columns.astype(np.float64), strict=True))
    own["heard"] = np.zeros(count)
    assert set(own) == {item.name for item in fields(Own)}  # noqa: S101
    return Fleet(
        ids=tuple(memory.ids),
        index={name: row for row, name in enumerate(memory.ids)},
        statuses=[_silent(name) for name in memory.ids],
        reported=np.zeros((len(REPORTED), count)),
        own=Own(**own),
    )


def _silent(name: str) -> EvseStatus:
    return EvseStatus(name, "", False, False, 0.0, 0.0, quality=Validity.INVALID)
