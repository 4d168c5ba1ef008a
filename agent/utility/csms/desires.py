"""From the CSMS's charging profiles to what is asked of the control; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.errors import RefusedError
from agent.messages import SITE, EvseView, RequestKind
from agent.ocpp.composite import STATION, Running, Wish, on_curve, wish_at
from agent.ocpp.schedules import Curve, Profile
from agent.utility.csms.wishes import Desired, Key

FLAT_W: Final = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What the profiles are read against.

    Attributes:
        running: Transactions by EVSE number. `names`: EVSE number → what the control calls it.
        nominal_hz: Of the grid. `rated_w`: what the fleet can export, for droops.
        signal: The last AFRRSignal.
        mono_s, utc_s: One instant in both clocks.
        lease_s: Longest life of a wish without a word of the CSMS.
    """

    running: Mapping[int, Running]
    names: Mapping[int, str]
    nominal_hz: float
    rated_w: float
    signal: int | None
    mono_s: float
    utc_s: float
    lease_s: float


def desires(profiles: Iterable[Profile], scene: Scene) -> dict[Key, Desired]:
    """Return everything that the CSMS wants now."""
    places: dict[int, list[Profile]] = {}
    for profile in profiles:
        places.setdefault(profile.evse, []).append(profile)
    general = places.pop(STATION, [])
    wanted: dict[Key, Desired] = {}
    for evse in (STATION, *(scene.running if general else scene.running.keys() & places.keys())):
        running = scene.running.get(evse)
        concerned = general + places.get(evse, [])
        wish, until_s = wish_at(concerned, evse, running, scene.utc_s, scene.signal)
        if wish.profile is None:
            continue
        target = SITE if evse == STATION else scene.names[evse]
        until_mono_s = scene.mono_s + (until_s - scene.utc_s)
        lease_s = min(scene.lease_s, wish.profile.max_offline_s)
        for key, value in requests_of(wish, target, scene).items():
            wanted[key] = Desired(value, until_mono_s, lease_s)
    return wanted


def requests_of(wish: Wish, target: str, scene: Scene) -> dict[Key, float]:
    """Return the requests that say a wish: setpoints and limits, never one for the other.

    Raises:
        RefusedError: The curve of LocalFrequency is no droop.
    """
    found: dict[Key, float] = {}
    if wish.power_w is not None:
        found[target, RequestKind.WATT_SETPOINT, ""] = wish.power_w
    if wish.reactive_var is not None:
        found[target, RequestKind.VAR_SETPOINT, ""] = wish.reactive_var
    if wish.charge_w is not None:
        found[target, RequestKind.CHARGE_LIMIT, ""] = wish.charge_w
    if wish.discharge_w is not None:
        found[target, RequestKind.WATT_LIMIT, ""] = wish.discharge_w
    if wish.freq_watt:
        settings = droop_of(wish.freq_watt, scene.nominal_hz, scene.rated_w)
        found |= {(SITE, RequestKind.SETTING, name): value for name, value in settings.items()}
    return found


def droop_of(curve: Curve, nominal_hz: float, rated_w: float) -> dict[str, float]:
    """Return the droop settings that a frequency-watt curve asks of the site.

    Args:
        curve: (Hz, W of export) points.
        nominal_hz: Where the curve has its dead band.
        rated_w: Power that the settings' droop counts as full.

    Raises:
        RefusedError: The curve does not give power at low frequency and take it at high.
    """
    middle_w = on_curve(curve, nominal_hz)
    below = [(nominal_hz - f_hz, p_w - middle_w) for f_hz, p_w in curve if f_hz < nominal_hz]
    above = [(f_hz - nominal_hz, middle_w - p_w) for f_hz, p_w in curve if f_hz > nominal_hz]
    settings: dict[str, float] = {}
    for side, points in (("uf", sorted(below)), ("of", sorted(above))):
        full_w = max((p_w for _, p_w in points), default=0.0)
        if any(p_w < -FLAT_W for _, p_w in points):
            raise RefusedError("the curve answers a deviation in the wrong direction")
        if full_w <= FLAT_W:
            continue
        deadband_hz = max((d for d, p_w in points if p_w <= FLAT_W), default=0.0)
        full_hz = min(d for d, p_w in points if p_w >= full_w - FLAT_W)
        settings[f"db_{side}_hz"] = round(deadband_hz, 6)
        slope = (full_hz - deadband_hz) / full_w * max(rated_w, full_w)
        settings[f"k_{side}"] = round(slope / nominal_hz, 9)
    if not settings:
        raise RefusedError("the curve asks for no power at any frequency")
    return settings


def discharge_refusal(profile: Profile, views: Mapping[int, EvseView]) -> str:
    """Return why a discharge that a profile orders cannot be done; empty where it can.

    Args:
        profile: As it came.
        views: The EVSEs that it concerns, by number.
    """
    powers = [period.setpoint_w for period in profile.periods if period.setpoint_w is not None]
    powers += [p_w for period in profile.periods for _, p_w in period.signal_watt]
    if not any(power_w > 0.0 for power_w in powers):
        return ""
    if any(can_discharge(view) for view in views.values()):
        return ""
    if profile.evse == STATION:
        return "no EVSE of this station can discharge"
    return f"EVSE {profile.evse} cannot discharge"


def can_discharge(view: EvseView) -> bool:
    """Whether station and vehicle can feed back."""
    status = view.status
    return status.online and status.discharge_max_w > 0.0 and "discharge" not in status.cannot


def narrowest(first: Mapping[Key, Desired], second: Mapping[Key, Desired]) -> dict[Key, Desired]:
    """Return both together: the smaller limit, the wider setting of a droop, else the first."""
    found = {**second, **first}
    for key in first.keys() & second.keys():
        both = (first[key], second[key])
        if key[1] in (RequestKind.CHARGE_LIMIT, RequestKind.WATT_LIMIT):
            found[key] = min(both, key=lambda each: each.value)
        elif key[1] is RequestKind.SETTING:
            found[key] = max(both, key=lambda each: each.value)
    return found
