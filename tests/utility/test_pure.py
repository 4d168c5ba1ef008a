"""The parts without I/O: waiting times, droops of curves, profiles of any content."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import RefusedError
from agent.messages import SITE, RequestKind
from agent.ocpp import Version
from agent.ocpp.composite import Running, composite, composite_payload, on_curve, wish_at
from agent.ocpp.schedules import profile_of, read_profile
from agent.ocpp.schemas import check_response
from agent.utility.csms.desires import Scene, desires, droop_of
from agent.utility.csms.pacing import Backoff, RoundTrip

NOW = 1_800_000_000.0


def test_the_time_to_answer_follows_the_round_trip_within_its_bounds():
    trip = RoundTrip(2.0, 60.0)
    assert trip.timeout_s == 2.0
    for _ in range(50):
        trip.measured(3.0)
    assert trip.smoothed_s == pytest.approx(3.0)
    assert 3.0 < trip.timeout_s < 4.0
    trip.missed()
    assert 6.0 < trip.timeout_s < 8.0
    for _ in range(20):
        trip.missed()
    assert trip.timeout_s == 60.0
    trip.measured(3.0)
    assert trip.timeout_s < 10.0


def test_pauses_double_are_drawn_at_random_and_start_anew_after_a_good_time():
    backoff = Backoff(1.0, 300.0, random.Random(1).random)
    pauses = [backoff.next_s() for _ in range(40)]
    assert all(0.5 <= pause <= min(2.0**n, 300.0) for n, pause in enumerate(pauses))
    assert len({round(pause, 3) for pause in pauses}) > 30
    backoff.held(5.0)
    assert backoff.attempts == 40
    backoff.held(61.0)
    assert backoff.next_s() <= 1.0


def test_a_fleet_does_not_come_back_in_step():
    first = [Backoff(1.0, 300.0) for _ in range(200)]
    for each in first:
        each.attempts = 6
    pauses = sorted(each.next_s() for each in first)
    assert pauses[20] < 16.0
    assert pauses[-20] > 48.0


def test_a_curve_becomes_the_droop_that_it_draws():
    curve = ((49.8, 10_000.0), (49.98, 0.0), (50.02, 0.0), (50.2, -10_000.0))
    droop = droop_of(curve, 50.0, 10_000.0)
    assert droop == pytest.approx(
        {"db_uf_hz": 0.02, "db_of_hz": 0.02, "k_uf": 0.0036, "k_of": 0.0036}
    )
    # Half the fleet's power over the same range is half as steep.
    assert droop_of(curve, 50.0, 20_000.0)["k_uf"] == pytest.approx(0.0072)
    with pytest.raises(RefusedError, match="wrong direction"):
        droop_of(((49.8, -1000.0), (50.0, 0.0), (50.2, 1000.0)), 50.0, 1e4)
    assert on_curve(curve, 49.89) == pytest.approx(5000.0)


def profile(**more):
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1000.0}],
        **more.pop("schedule", {}),
    }
    raw = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **more,
    }
    return profile_of(raw, 1, 230.0, NOW)


def limit(profiles, t_s, running=None):
    running = running or Running("tx", NOW)
    return wish_at(profiles, 1, running, t_s)[0].charge_w


def test_recurring_relative_and_valid_from():
    daily = profile(
        chargingProfileKind="Recurring",
        recurrencyKind="Daily",
        schedule={"startSchedule": "2027-01-15T06:00:00Z", "duration": 3600},
    )
    start = daily.start_utc_s
    assert limit([daily], start + 86_400 * 3 + 10) == 1000.0
    assert limit([daily], start + 86_400 * 3 + 3700) is None
    relative = profile(chargingProfileKind="Relative", schedule={"duration": 60})
    assert limit([relative], NOW + 500, Running("tx", NOW + 490)) == 1000.0
    assert limit([relative], NOW + 500, Running("tx", NOW)) is None
    later = profile(validFrom="2027-06-01T00:00:00Z")
    assert limit([later], NOW) is None
    assert wish_at([later], 1, Running("tx", NOW), NOW)[1] == later.valid_from_s


def test_precedence_of_purposes_and_levels():
    low, high = profile(id=1), profile(id=2, stackLevel=5, schedule={"duration": 60})
    own = profile(id=3, chargingProfilePurpose="TxProfile", schedule={
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7.0}], "duration": 30,
    })  # fmt: skip
    everything = [low, high, own]
    assert limit(everything, NOW + 10) == 7.0
    assert limit([low, high], NOW + 100) == 1000.0
    assert wish_at(everything, 1, None, NOW + 10)[0].charge_w is None


def test_amperes_count_with_their_phases():
    def watts(**period):
        read = profile(schedule={
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, **period}],
        })  # fmt: skip
        return read.periods[0].charge_w

    assert watts(limit=16.0) == 16 * 230 * 3
    assert watts(limit=16.0, numberPhases=1) == 16 * 230
    assert watts(limit=10.0, limit_L2=6.0, limit_L3=6.0) == 22 * 230


numbers = st.floats(-1e12, 1e12) | st.integers(-100_000, 100_000)
modes = st.sampled_from([
    None, "Idle", "ChargingOnly", "CentralSetpoint", "ExternalSetpoint", "ExternalLimits",
    "CentralFrequency", "LocalFrequency", "LocalLoadBalancing",
])  # fmt: skip
fields = st.dictionaries(
    st.sampled_from(
        [
            "limit",
            "limit_L2",
            "limit_L3",
            "dischargeLimit",
            "dischargeLimit_L2",
            "setpoint",
            "setpoint_L2",
            "setpoint_L3",
            "setpointReactive",
            "v2xBaseline",
        ]
    ),
    numbers,
)
points = st.lists(
    st.fixed_dictionaries({"frequency": st.floats(40, 70), "power": numbers}), max_size=5
)


@st.composite
def periods(draw):
    period = {"startPeriod": 0, **draw(fields)}
    if (mode := draw(modes)) is not None:
        period["operationMode"] = mode
    if curve := draw(points):
        period["v2xFreqWattCurve"] = curve
    return period


@settings(max_examples=300, deadline=None)
@given(periods(), st.sampled_from(["W", "A"]), st.integers(0, 3), st.floats(0, 1e5))
def test_nothing_that_a_csms_sends_becomes_an_impossible_request(period, unit, evse, rated_w):
    """Finite, bounded; a limit is a magnitude; no discharge without a setpoint or a curve."""
    schedule = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
    raw = {
        "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
    }  # fmt: skip
    request = {"evseId": evse, "chargingProfile": raw}
    running = {n: Running(f"t{n}", NOW) for n in (1, 2)}
    names = {n: f"CS{n}/1" for n in (1, 2)}
    scene = Scene(running, names, 50.0, rated_w, None, 100.0, NOW + 1.0, 60.0)
    try:
        wanted = desires([read_profile(Version.V21, request, 230.0, NOW)], scene)
    except RefusedError:
        return
    for (target, kind, _), wish in wanted.items():
        assert target in (SITE, *names.values())
        assert math.isfinite(wish.value)
        assert abs(wish.value) < 1e9
        assert wish.lease_s <= 60.0
        if kind in (RequestKind.CHARGE_LIMIT, RequestKind.WATT_LIMIT, RequestKind.SETTING):
            assert wish.value >= 0.0
        if kind is RequestKind.WATT_SETPOINT and wish.value > 0.0:
            has_setpoint = any(name.startswith("setpoint") for name in period)
            assert has_setpoint or period.get("v2xBaseline")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=8, unique=True), st.integers(1, 20_000))
def test_the_composite_schedule_is_what_each_version_permits(starts, duration_s):
    steps = [{"startPeriod": 0, "limit": 0.5}]
    steps += [{"startPeriod": at, "limit": float(at)} for at in sorted(starts)]
    read = profile(schedule={"chargingSchedulePeriod": steps, "duration": 6000})
    parts = composite([read], 1, Running("tx", NOW), NOW, float(duration_s))
    for version in Version:
        payload = composite_payload(version, 1, parts, NOW, duration_s, "W", 1.0, 11_000.0)
        check_response(version, "GetCompositeSchedule", payload)
    assert [round(at_s) for at_s, _ in parts] == sorted(
        {0, *(at for at in starts if at < duration_s), *([6000] if duration_s > 6000 else [])}
    )
