"""How the area's admissible gain and reserve are shared; pure: time is an argument.

A gateway that the bus does not reach goes on with its last share. So the account holds for each
gateway the most that it may be using: a smaller grant counts from the moment the gateway
confirms it, a larger one from the moment it is written. What is handed out never exceeds what the
area admits less what is held, whoever is cut off, for however long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.control.stability import gain_limit
from agent.utility.bus.fleet_model import Area, Grant, Ledger, Report, Share

CHANGE: Final = 0.02
"""A share that would change by less stays as it is, so that versions do not race."""
FORGET_S: Final = 7 * 86_400.0
"""A gateway that was not heard for so long is struck off."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The coordinator's own settings.

    Attributes:
        nominal_hz, factor: Nominal frequency; gain margin of the stability limit.
        lease_s, hold_s: Of the shares; after both together a silent gateway counts with all that
            its own configuration allows.
        reserve_s: Time that a reserve must last.
    """

    nominal_hz: float
    factor: float
    lease_s: float
    hold_s: float
    reserve_s: float


def admissible_w_per_hz(area: Area, reports: Mapping[str, Report], rules: Rules) -> float:
    """Return the gain that the area admits for these gateways' delays: πH/(factor·τ) in W/Hz."""
    able = [report for report in reports.values() if report.rated_w > 0.0]
    if not able:
        return 0.0
    delays_s = np.array([report.delay_s for report in able])
    weights = np.array([report.rated_w for report in able])
    k = gain_limit(area.inertia_s, delays_s, weights, 0.0, rules.factor)
    return k * area.power_w / rules.nominal_hz


def allocate(
    before: Ledger | None,
    area: Area,
    reports: Mapping[str, Report],
    rules: Rules,
    now_utc_s: float,
) -> tuple[Ledger, dict[str, Share]]:
    """Return the new account, and the shares of the gateways that are heard.

    Args:
        before: The account of the last round; None for the first.
        area: Inertia, power and reserve now.
        reports: The newest report of every known gateway.
        rules: Settings.
        now_utc_s: The coordinator's clock; reports are judged by it.
    """
    grants = _confirmed(before, reports, rules, now_utc_s)
    heard = {n: r for n, r in reports.items() if now_utc_s - r.t_utc_s <= rules.lease_s}
    admissible = admissible_w_per_hz(area, reports, rules)
    silent_w_per_hz = sum(g.held_w_per_hz for n, g in grants.items() if n not in heard)
    wanted = _targets(heard, max(0.0, admissible - silent_w_per_hz))
    room = admissible - sum(grant.held_w_per_hz for grant in grants.values())
    for name, target in wanted.items():
        grant = grants[name]
        if math.isclose(target, grant.gain_w_per_hz, rel_tol=CHANGE) and grant.version:
            continue
        # More is given only from what nobody holds; less is asked for at once.
        most = grant.held_w_per_hz + max(0.0, room)
        gain = min(target, most)
        held = max(grant.held_w_per_hz, gain)
        room -= held - grant.held_w_per_hz
        grants[name] = Grant(
            version=grant.version + 1, gain_w_per_hz=gain, held_w_per_hz=held,
            t_utc_s=grant.t_utc_s,
        )  # fmt: skip
    granted = sum(grant.held_w_per_hz for grant in grants.values())
    ledger = Ledger(
        t_utc_s=now_utc_s, inertia_s=area.inertia_s, power_w=area.power_w,
        admissible_w_per_hz=admissible, granted_w_per_hz=granted,
        overcommitted=granted > admissible * (1.0 + 1e-9), grants=grants,
    )  # fmt: skip
    return ledger, _shares(ledger, area, heard, rules)


def _confirmed(
    before: Ledger | None, reports: Mapping[str, Report], rules: Rules, now_utc_s: float
) -> dict[str, Grant]:
    """Return the grants with what the reports say of them."""
    grants: dict[str, Grant] = {}
    known = before.grants if before is not None else {}
    for name in known.keys() | reports.keys():
        report, grant = reports.get(name), known.get(name)
        if report is None:
            heard_utc_s = grant.t_utc_s if grant is not None else now_utc_s
        else:
            heard_utc_s = report.t_utc_s
        silent_s = now_utc_s - heard_utc_s
        if silent_s > FORGET_S:
            continue
        local = report.local_w_per_hz if report is not None else 0.0
        if grant is None:  # never granted anything: it goes by its own configuration
            grants[name] = Grant(
                version=0, gain_w_per_hz=local, held_w_per_hz=local, t_utc_s=heard_utc_s
            )
            continue
        held = grant.held_w_per_hz
        if report is not None and report.version >= grant.version > 0:
            held = grant.gain_w_per_hz
        if silent_s > rules.lease_s + rules.hold_s:
            held = max(held, local)
        grants[name] = Grant(
            version=grant.version, gain_w_per_hz=grant.gain_w_per_hz, held_w_per_hz=held,
            t_utc_s=heard_utc_s,
        )  # fmt: skip
    return grants


def _targets(heard: Mapping[str, Report], total: float) -> dict[str, float]:
    """Share `total` by lasting power; what a gateway does not want goes to the others."""
    targets = dict.fromkeys(heard, 0.0)
    open_ones = {n: r for n, r in heard.items() if r.rated_w > 0.0}
    rest = total
    while open_ones and rest > 0.0:
        weights = {name: max(report.rated_w, 1e-9) for name, report in open_ones.items()}
        whole = sum(weights.values())
        full = {
            n: r for n, r in open_ones.items() if r.wanted_w_per_hz <= rest * weights[n] / whole
        }
        if not full:
            return targets | {name: rest * weights[name] / whole for name in open_ones}
        for name, report in full.items():
            targets[name] = report.wanted_w_per_hz
            rest -= report.wanted_w_per_hz
            del open_ones[name]
    return targets


def _shares(
    ledger: Ledger, area: Area, heard: Mapping[str, Report], rules: Rules
) -> dict[str, Share]:
    up = _reserve(
        area.reserve_up_w, {n: _lasting_w(r.up_w, r.up_wh, rules) for n, r in heard.items()}
    )
    down = _reserve(
        area.reserve_down_w, {n: _lasting_w(r.down_w, r.down_wh, rules) for n, r in heard.items()}
    )
    return {
        name: Share(
            version=ledger.grants[name].version,
            lease_s=rules.lease_s,
            inertia_s=area.inertia_s,
            gain_w_per_hz=ledger.grants[name].gain_w_per_hz,
            reserve_up_w=up.get(name),
            reserve_down_w=down.get(name),
            t_utc_s=ledger.t_utc_s,
        )
        for name in heard
    }


def _lasting_w(power_w: float, energy_wh: float, rules: Rules) -> float:
    """Return the power that the energy carries for the time that a reserve must last."""
    return min(power_w, energy_wh * 3600.0 / rules.reserve_s)


def _reserve(total_w: float | None, able_w: Mapping[str, float]) -> dict[str, float]:
    """Share a reserve by available energy; nothing where the area has none to share."""
    whole_w = sum(able_w.values())
    if total_w is None:
        return {}
    share = min(1.0, total_w / whole_w) if whole_w > 0.0 else 0.0
    return {name: share * power_w for name, power_w in able_w.items()}
