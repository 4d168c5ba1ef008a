"""A small fleet on a bench: EVSEs that obey after their latency; time is an argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from agent.control import (
    Inputs,
    Now,
    Outputs,
    Parameters,
    State,
    initial_state,
    parameters_from,
    step,
)
from agent.messages import (
    Authority,
    ControlRequest,
    DigitalInput,
    EvseStatus,
    Measurement,
    OrderResult,
    RequestKind,
    Setpoint,
    Validity,
)

UTC = 1_700_000_000.0


def evse(name: str = "CS1/1", **fields: object) -> EvseStatus:
    """Return an idle 11 kW V2X EVSE with a half full vehicle."""
    values: dict[str, object] = {
        "evse_id": name,
        "protocol": "ocpp2.1",
        "online": True,
        "plugged": True,
        "t_utc_s": UTC,
        "published_s": 0.0,
        "p_w": 0.0,
        "charge_max_w": 11_000.0,
        "discharge_max_w": 11_000.0,
        "soc_pct": 60.0,
        "capacity_wh": 60_000.0,
    }
    return EvseStatus(**(values | fields))  # type: ignore[arg-type]


@dataclass
class Bench:
    """Steps the control every 20 ms; vehicles obey after `latency_s`."""

    parameters: Parameters
    latency_s: float = 0.1
    now_s: float = 100.0
    f_hz: float | None = None
    state: State = field(init=False)
    evses: dict[str, EvseStatus] = field(default_factory=dict)
    sent: list[Setpoint] = field(default_factory=list)
    outcomes: list[object] = field(default_factory=list)
    last: Outputs = field(init=False)
    obey: bool = True
    utc_offset_s: float = UTC
    tick_s: float = 0.02
    v_pu: float = 1.0
    efficiency: float = 1.0
    _on_the_way: list[tuple[float, Setpoint]] = field(default_factory=list)
    _pending: list[ControlRequest] = field(default_factory=list)
    _fresh: set[str] = field(default_factory=set)
    _results: list[OrderResult] = field(default_factory=list)
    _digital: list[DigitalInput] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = initial_state(self.parameters)
        self.f_hz = self.parameters.nominal_hz
        self.run(0.1)

    def plug(self, *statuses: EvseStatus) -> None:
        for status in statuses:
            self.evses[status.evse_id] = status
            self._fresh.add(status.evse_id)

    def change(self, name: str, **fields: object) -> None:
        self.plug(msgspec.structs.replace(self.evses[name], **fields))

    def ask(self, request: ControlRequest) -> None:
        self._pending.append(request)

    def tick(self) -> Outputs:
        self.now_s = round(self.now_s + self.tick_s, 6)
        self._deliver()
        inputs = Inputs(
            measurements=() if self.f_hz is None else (self.report(),),
            digital=tuple(self._digital),
            evses=tuple(self.evses[name] for name in sorted(self._fresh)),
            results=tuple(self._results),
            requests=tuple(self._pending),
        )
        self._pending, self._fresh, self._digital, self._results = [], set(), [], []
        self.state, self.last = step(self.state, inputs, Now(self.now_s, self.utc_s(), True))
        self.sent += self.last.setpoints
        self.outcomes += self.last.outcomes
        self._on_the_way += [(self.now_s + self.latency_s, s) for s in self.last.setpoints]
        return self.last

    def coast(self, seconds: float) -> Outputs:
        """Run with a fifth of the ticks, for long waits."""
        self.tick_s = 0.1
        self.run(seconds)
        self.tick_s = 0.02
        return self.last

    def run(self, seconds: float) -> Outputs:
        for _ in range(round(seconds / self.tick_s)):
            self.tick()
        return self.last

    def say(self, item: DigitalInput) -> None:
        self._digital.append(item)

    def refuse(self, order: Setpoint) -> None:
        self._results.append(OrderResult(order.evse_id, order.seq, False, self.now_s, "busy"))

    def report(self) -> Measurement:
        return report(self.f_hz, self.now_s, v1_v=self.v_pu * self.parameters.nominal_v)

    def utc_s(self) -> float:
        return self.utc_offset_s + self.now_s

    def power_w(self) -> float:
        return sum(status.p_w or 0.0 for status in self.evses.values())

    def _deliver(self) -> None:
        arrived = [s for at, s in self._on_the_way if at <= self.now_s]
        self._on_the_way = [(at, s) for at, s in self._on_the_way if at > self.now_s]
        for setpoint in arrived if self.obey else ():
            done_w = setpoint.p_w * self.efficiency
            self.change(setpoint.evse_id, p_w=done_w, setpoint_w=setpoint.p_w)


def report(f_hz: float, now_s: float, **fields: object) -> Measurement:
    values: dict[str, object] = {
        "source": "MU1",
        "t_utc_s": UTC + now_s,
        "f_hz": f_hz,
        "rocof_hz_s": 0.0,
        "v1_v": 230.0,
        "quality": Validity.GOOD,
        "wire_s": now_s - 0.002,
        "published_s": now_s - 0.001,
    }
    return Measurement(**(values | fields))  # type: ignore[arg-type]


def request(kind: RequestKind, value: float = 0.0, **fields: object) -> ControlRequest:
    values: dict[str, object] = {
        "request_id": f"{kind}-{value}",
        "authority": Authority.LOCAL_OPERATOR,
        "origin": "op",
        "kind": kind,
        "target": "site",
        "value": value,
        "lease_s": 60.0,
        "received_s": 0.0,
        "t_utc_s": UTC,
    }
    return ControlRequest(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture
def make_evse() -> Callable[..., EvseStatus]:
    return evse


@pytest.fixture
def make_report() -> Callable[..., Measurement]:
    return report


@pytest.fixture
def make_request() -> Callable[..., ControlRequest]:
    return request


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def build(nominal_hz: float = 50.0, **values: object) -> Bench:
        return Bench(parameters_from(nominal_hz=nominal_hz, **values))  # type: ignore[arg-type]

    return build
