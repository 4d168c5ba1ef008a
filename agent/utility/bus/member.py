"""One gateway as a member of its region: reports what it can, goes by the share it was given.

The share is kept on disk. While the bus is away it holds, and long after its lease it gives way
to the local configuration (`lease`). It reaches the control as requests that can only narrow.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent import strict_json
from agent.control.parameters import Parameters
from agent.control.region import GAIN, INERTIA, RESERVE_DOWN, RESERVE_UP, local_values
from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    EvseView,
    Message,
    RequestKind,
    Snapshot,
)
from agent.utility.bus import lease
from agent.utility.bus.energy import Stock
from agent.utility.bus.fleet_model import Report, Share
from agent.utility.bus.lease import Terms

ORIGIN: Final = "fleet"
CHANGE: Final = 0.01
"""A setting that moves by less is not told again."""
RENEW_AT: Final = 0.5


class Told(msgspec.Struct):
    """A setting that the control was told: the request, its value, and until when it lives."""

    request_id: str
    value: float
    until_mono_s: float
    lease_s: float


class Memory(msgspec.Struct):
    """What survives a restart; monotonic instants do not, so ages are kept in UTC."""

    share: Share | None = None
    received_utc_s: float = 0.0
    requests: dict[str, str] = {}


class Member:
    """Keeps the share, makes the reports and the requests; does no network I/O itself.

    Args:
        name: Name of the gateway.
        parameters: The local envelope.
        terms: How a share ends.
        path: Where the share is kept.
        send: Sends to the control.
    """

    def __init__(
        self,
        name: str,
        parameters: Parameters,
        terms: Terms,
        path: Path,
        send: Callable[[Message], None],
    ) -> None:
        self._name, self._p, self._terms = name, parameters, terms
        self._path, self._send = path, send
        self._snapshot: Snapshot | None = None
        self._views: tuple[EvseView, ...] = ()
        self._told: dict[str, Told] = {}
        self._memory = _load(path)
        self._stale = dict(self._memory.requests)
        age_s = max(0.0, time.time() - self._memory.received_utc_s)
        self._received_s = time.monotonic() - age_s

    @property
    def share(self) -> Share | None:
        """The last share that was received."""
        return self._memory.share

    def take(self, snapshot: Snapshot, views: tuple[EvseView, ...]) -> None:
        """Take the newest state of the control, and of every EVSE."""
        self._snapshot, self._views = snapshot, views

    def receive(self, share: Share | None) -> None:
        """Take what the bucket holds for this gateway; only a renewed or newer one counts."""
        old = self._memory.share
        if share is None or (old is not None and share.version < old.version):
            return
        if old is not None and share.t_utc_s <= old.t_utc_s:
            return
        self._memory.share = share
        self._memory.received_utc_s = time.time()
        self._received_s = time.monotonic()
        self._save()

    def phase(self) -> str:
        """Return where the share stands: `none`, `fresh`, `held`, `decaying`, `over`."""
        share = self._memory.share
        return "none" if share is None else lease.phase(share, self._age_s(), self._terms)

    def tell(self) -> None:
        """Send what the share means now to the control; new values before old ones are ended."""
        if self._snapshot is None:
            return
        now_s = time.monotonic()
        wanted = self._wanted()
        left_s = 0.0
        if self._memory.share is not None:
            left_s = lease.remaining_s(self._memory.share, self._age_s(), self._terms)
        ended: list[str] = []
        for name, value in wanted.items():
            told = self._told.get(name)
            if told is not None and not _outdated(told, value, now_s):
                continue
            lease_s = max(left_s, 1.0)
            request = self._request(RequestKind.SETTING, value, name, lease_s)
            self._send(request)
            ended += [told.request_id] if told is not None else []
            self._told[name] = Told(request.request_id, value, now_s + lease_s, lease_s)
        for name in [name for name in self._told if name not in wanted]:
            ended.append(self._told.pop(name).request_id)
        ended += self._stale.values()  # of this process's last life
        self._stale.clear()
        for request_id in ended:
            self._send(self._request(RequestKind.WITHDRAW, 0.0, request_id, 1.0))
        requests = {name: told.request_id for name, told in self._told.items()}
        if requests != self._memory.requests:
            self._memory.requests = requests
            self._save()

    def restate(self) -> None:
        """The control is a new process, or was away: tell it everything again."""
        self._stale |= {name: told.request_id for name, told in self._told.items()}
        self._told.clear()

    def report(self, stock: Stock) -> Report | None:
        """Return what this gateway can do now; None before the control said anything."""
        snapshot = self._snapshot
        if snapshot is None:
            return None
        loop = snapshot.loop
        wanted = self._slope(snapshot)
        local = min(wanted, self._local_limit(snapshot))
        measured = snapshot.measurement
        f_hz = measured.f_hz if measured is not None and math.isfinite(measured.f_hz) else None
        return Report(
            name=self._name,
            t_utc_s=time.time(),
            up_w=loop.up_w,
            down_w=loop.down_w,
            up_wh=stock.up_wh,
            down_wh=stock.down_wh,
            rated_w=self._rated_w(),
            delay_s=max(loop.delay_s, 0.01) if math.isfinite(loop.delay_s) else 1.0,
            wanted_w_per_hz=wanted,
            local_w_per_hz=local,
            gain_w_per_hz=min(wanted, loop.gain_limit_w_per_hz),
            delivered_w=loop.delivered_w if math.isfinite(loop.delivered_w) else 0.0,
            f_hz=f_hz,
            version=self._version_in_force(snapshot),
        )

    def counters(self) -> dict[str, float]:
        """Return what the heartbeat tells."""
        phases = ("none", "fresh", "held", "decaying", "over")
        share = self._memory.share
        return {
            "fleet_phase": float(phases.index(self.phase())),
            "fleet_age_s": self._age_s() if share is not None else 0.0,
            "fleet_version": float(share.version) if share is not None else 0.0,
        }

    def _wanted(self) -> dict[str, float]:
        share = self._memory.share
        if share is None or self._snapshot is None:
            return {}
        local = local_values(self._p)
        if self.phase() == "decaying":
            # Where the configuration has no number, the way back leads to what would hold.
            rated_w = self._rated_w()
            gain = min(self._local_limit(self._snapshot), self._slope(self._snapshot))
            ends = {GAIN: gain, RESERVE_UP: rated_w, RESERVE_DOWN: rated_w}
            local |= {n: min(local[n], end) for n, end in ends.items()}
        return lease.values(share, self._age_s(), local, self._terms)

    def _rated_w(self) -> float:
        """Return the power behind the droop."""
        up_w = sum(max(0.0, v.ordered_w + v.up_w - v.status.base_w) for v in self._views)
        down_w = sum(max(0.0, v.status.base_w - v.ordered_w + v.down_w) for v in self._views)
        return max(up_w, down_w)

    def _slope(self, snapshot: Snapshot) -> float:
        """Return the slope that the droop would have if nothing limited it, W/Hz."""
        k = min(snapshot.settings.get(name, math.inf) for name in ("k_uf", "k_of"))
        return self._rated_w() / (max(k, 1e-6) * snapshot.loop.nominal_hz)

    def _local_limit(self, snapshot: Snapshot) -> float:
        """Return the limit of the own delays with the locally configured inertia, W/Hz."""
        inertia_s = snapshot.settings.get(INERTIA, self._p.inertia_s)
        return snapshot.loop.own_limit_w_per_hz * self._p.inertia_s / inertia_s

    def _version_in_force(self, snapshot: Snapshot) -> int:
        """Return the version of the share once the control shows that it goes by it."""
        share = self._memory.share
        if share is None:
            return 0
        in_force = snapshot.settings.get(GAIN, math.inf) <= share.gain_w_per_hz * (1.0 + CHANGE)
        return share.version if in_force else 0

    def _age_s(self) -> float:
        return time.monotonic() - self._received_s

    def _request(
        self, kind: RequestKind, value: float, setting: str, lease_s: float
    ) -> ControlRequest:
        return ControlRequest(
            request_id=f"{ORIGIN}-{uuid.uuid4()}",
            authority=Authority.BALANCING_AUTHORITY,
            origin=ORIGIN,
            kind=kind,
            target=SITE,
            value=value,
            lease_s=lease_s,
            received_s=time.monotonic(),
            t_utc_s=time.time(),
            setting=setting,
        )

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_bytes(msgspec.json.encode(self._memory))
            temporary.replace(self._path)
        except OSError as error:
            logger.warning("{}: the share cannot be kept: {}", self._path, error.strerror)


def _outdated(told: Told, value: float, now_s: float) -> bool:
    moved = not math.isclose(told.value, value, rel_tol=CHANGE, abs_tol=1e-9)
    return moved or told.until_mono_s - now_s < RENEW_AT * told.lease_s


def _load(path: Path) -> Memory:
    return strict_json.read(path, Memory, "the last share is lost") or Memory()
