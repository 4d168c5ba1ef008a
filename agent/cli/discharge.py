"""`v2g-ctl --command DISCHARGE`: a bounded test, with delivered against ordered power."""

from __future__ import annotations

import argparse
import getpass
import itertools
import json
import math
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agent.cli.gateway import GatewayClient
from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Snapshot,
    StatusQuery,
)

GRACE_S: Final = 5.0
"""Time beyond the test's end in which its outcome must come."""
SETTLE_S: Final = 2.0
"""Start of the test that is left out of the mean: stations and vehicles ramp."""
EXIT_REFUSED: Final = 3


@dataclass(frozen=True, slots=True)
class DischargeReport:
    """What a test showed; powers in watts, export positive, means after the ramp."""

    request_id: str
    status: str
    reason: str
    target: str
    duration_s: float
    ordered_w: float
    delivered_mean_w: float
    delivered_min_w: float
    delivered_max_w: float
    energy_wh: float
    first_response_s: float
    samples: int


def operator_request(
    kind: RequestKind,
    *,
    value: float = 0.0,
    target: str = SITE,
    lease_s: float,
    duration_s: float = 0.0,
    setting: str = "",
) -> ControlRequest:
    """Return a request of the local operator, named after the user who typed it."""
    return ControlRequest(
        request_id=f"ctl-{uuid.uuid4()}",
        authority=Authority.LOCAL_OPERATOR,
        origin=f"v2g-ctl:{getpass.getuser()}",
        kind=kind,
        target=target,
        value=value,
        lease_s=lease_s,
        received_s=time.monotonic(),
        t_utc_s=time.time(),
        setting=setting,
        duration_s=duration_s,
    )


def run_test(arguments: argparse.Namespace, sign: float) -> int:
    """Order a discharge (`sign` +1) or charge (−1) and watch it to its end.

    Returns:
        0 when it ran, 3 when the control refused or ended it early.
    """
    client = GatewayClient(arguments)
    duration_s = arguments.duration
    request = operator_request(
        RequestKind.WATT_SETPOINT,
        value=sign * arguments.power,
        target=arguments.evse,
        lease_s=duration_s + GRACE_S,
        duration_s=duration_s,
    )
    client.send(StatusQuery(watch=True))
    client.send(request)
    watch = _Watch(request)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        transient=True,
        console=Console(stderr=True),
        disable=arguments.json or not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("discharge test", total=duration_s)
        for message in client.messages(duration_s + GRACE_S):
            watch.take(message)
            progress.update(task, completed=watch.elapsed_s, description=watch.line())
            if watch.finished:
                break
    client.close()
    report = watch.report()
    print(json.dumps(asdict(report)) if arguments.json else _readable(report))
    return 0 if report.status == RequestStatus.COMPLETED else EXIT_REFUSED


class _Watch:
    """Collects what the snapshots say between order and outcome."""

    def __init__(self, request: ControlRequest) -> None:
        self._request = request
        self._started_s = time.monotonic()
        self._samples: list[tuple[float, float]] = []
        self._evse_powers: dict[str, float] = {}
        self._outcome: RequestOutcome | None = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    @property
    def finished(self) -> bool:
        return self._outcome is not None and self._outcome.status is not RequestStatus.ACCEPTED

    def take(self, message: object) -> None:
        if isinstance(message, RequestOutcome) and message.request_id == self._request.request_id:
            self._outcome = message
        elif isinstance(message, Snapshot):
            self._take_snapshot(message)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        for view in snapshot.evses:
            self._evse_powers[view.evse_id] = view.status.p_w or 0.0
        target = self._request.target
        power_w = (
            snapshot.loop.delivered_w if target == SITE else self._evse_powers.get(target, 0.0)
        )
        self._samples.append((self.elapsed_s, power_w))

    def line(self) -> str:
        delivered_w = self._samples[-1][1] if self._samples else math.nan
        return (
            f"ordered {self._request.value / 1000:+.2f} kW, delivered {delivered_w / 1000:+.2f} kW"
        )

    def report(self) -> DischargeReport:
        outcome = self._outcome
        within = [s for s in self._samples if s[0] <= self._request.duration_s]
        settled = [w for t, w in within if t >= min(SETTLE_S, self._request.duration_s / 2)]
        mean_w = sum(settled) / len(settled) if settled else math.nan
        return DischargeReport(
            request_id=self._request.request_id,
            status=str(outcome.status) if outcome else "no answer",
            reason=outcome.reason if outcome else "the daemon did not report the end of the test",
            target=self._request.target,
            duration_s=self._request.duration_s,
            ordered_w=self._request.value,
            delivered_mean_w=mean_w,
            delivered_min_w=min(settled, default=math.nan),
            delivered_max_w=max(settled, default=math.nan),
            energy_wh=_energy_wh(within),
            first_response_s=_first_response_s(within, self._request.value),
            samples=len(within),
        )


def _energy_wh(samples: list[tuple[float, float]]) -> float:
    pairs = itertools.pairwise(samples)
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairs) / 3600.0


def _first_response_s(samples: list[tuple[float, float]], ordered_w: float) -> float:
    """Time until nine tenths of the way from the start to the order were delivered."""
    if not samples:
        return math.nan
    start_w = samples[0][1]
    step_w = ordered_w - start_w
    reached = (t for t, w in samples if step_w and (w - start_w) / step_w >= 0.9)
    return next(reached, math.nan)


def _readable(report: DischargeReport) -> str:
    share = report.delivered_mean_w / report.ordered_w if report.ordered_w else math.nan
    lines = [
        f"{report.status}: {report.reason or 'as ordered'}",
        f"ordered    {report.ordered_w / 1000:+.3f} kW at {report.target}"
        f" for {report.duration_s:g} s",
        f"delivered  {report.delivered_mean_w / 1000:+.3f} kW mean ({share:.1%}), "
        f"{report.delivered_min_w / 1000:+.3f} to {report.delivered_max_w / 1000:+.3f} kW",
        f"energy     {report.energy_wh:.1f} Wh; 90 % after {report.first_response_s:.2f} s",
    ]
    return "\n".join(lines)
