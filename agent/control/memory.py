"""The part of the state that outlives the process, as bytes."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np

from agent.control.arbitration import Ledger, Order
from agent.control.fleet import REPORTED, Fleet
from agent.control.parameters import Parameters
from agent.control.state import State, initial_state
from agent.messages import ControlRequest, EvseStatus, RequestOutcome

VERSION = 1


class _Order(msgspec.Struct, array_like=True):
    request: ControlRequest
    start_s: float
    end_s: float
    answered: bool


class _Evse(msgspec.Struct, array_like=True):
    status: EvseStatus
    ordered_w: float
    active: bool
    seq: int
    issued_s: float
    rest_until_s: float


class _Memory(msgspec.Struct, array_like=True):
    version: int
    clock_s: float
    share: float
    evses: list[_Evse]
    orders: list[_Order]
    outcomes: list[RequestOutcome]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Memory] = msgspec.msgpack.Decoder(_Memory)


def dump_state(state: State) -> bytes:
    """Return what the next process needs: orders and their numbers, leases, the droop's level."""
    fleet = state.fleet
    rows = np.flatnonzero(fleet.seq > 0).tolist()
    evses = [
        _Evse(
            fleet.statuses[row],
            float(fleet.ordered_w[row]),
            bool(fleet.active[row]),
            int(fleet.seq[row]),
            float(fleet.issued_s[row]),
            float(fleet.rest_until_s[row]),
        )
        for row in rows
    ]
    orders = [_Order(o.request, o.start_s, o.end_s, o.answered) for o in state.ledger.orders]
    outcomes = list(state.ledger.outcomes.values())
    return _encoder.encode(_Memory(VERSION, state.clock_s, state.share, evses, orders, outcomes))


def load_state(data: bytes, parameters: Parameters) -> State:
    """Return the state that `dump_state` wrote.

    EVSEs are taken as offline until their stations speak again; nothing is ordered before.

    Raises:
        ValueError: The bytes are not a state of this version.
    """
    try:
        memory = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a control state: {error}") from error
    if memory.version != VERSION:
        raise ValueError(f"a control state of version {memory.version}, not {VERSION}")
    orders = tuple(Order(o.request, o.start_s, o.end_s, o.answered) for o in memory.orders)
    outcomes = {outcome.request_id: outcome for outcome in memory.outcomes}
    share = min(max(memory.share, -1.0), 1.0) if math.isfinite(memory.share) else 0.0
    return replace(
        initial_state(parameters),
        clock_s=memory.clock_s if math.isfinite(memory.clock_s) else -math.inf,
        share=share,
        fleet=_fleet(memory.evses),
        ledger=Ledger(orders, outcomes),
    )


def _fleet(evses: list[_Evse]) -> Fleet:
    ids = tuple(evse.status.evse_id for evse in evses)
    return Fleet(
        ids=ids,
        index={name: row for row, name in enumerate(ids)},
        statuses=[evse.status for evse in evses],
        reported=np.zeros((len(REPORTED), len(ids))),
        ordered_w=np.array([evse.ordered_w for evse in evses], dtype=np.float64),
        active=np.array([evse.active for evse in evses], dtype=np.bool_),
        seq=np.array([evse.seq for evse in evses], dtype=np.int64),
        issued_s=np.array([evse.issued_s for evse in evses], dtype=np.float64),
        rest_until_s=np.array([evse.rest_until_s for evse in evses], dtype=np.float64),
    )
