"""The coordinator's account and the end of a share: pure, so time is a number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.control.region import GAIN, INERTIA, RESERVE_DOWN, RESERVE_UP
from agent.utility.bus.allocation import Rules, admissible_w_per_hz, allocate
from agent.utility.bus.fleet_model import Area, Report, Share, decode, encode
from agent.utility.bus.lease import Terms, phase, values

RULES = Rules(nominal_hz=50.0, factor=2.0, lease_s=10.0, hold_s=100.0, reserve_s=900.0)
AREA = Area(inertia_s=4.0, power_w=1e6)
T = 1_790_000_000.0


def report(name: str, **values) -> Report:
    fields = {
        "t_utc_s": T, "rated_w": 40_000.0, "delay_s": 0.5, "wanted_w_per_hz": 2e5,
        "local_w_per_hz": 1e5, "up_w": 40_000.0, "up_wh": 1e6, "down_w": 40_000.0, "down_wh": 1e6,
    }  # fmt: skip
    return Report(name=name, **(fields | values))


def test_the_area_admits_pi_h_over_two_tau():
    k = math.pi * AREA.inertia_s / (2.0 * 0.5)
    expected = k * AREA.power_w / 50.0
    assert admissible_w_per_hz(AREA, {"a": report("a")}, RULES) == pytest.approx(expected, rel=0.02)


def test_gain_goes_by_power_and_what_one_does_not_want_goes_to_the_others():
    reports = {
        "a": report("a", wanted_w_per_hz=1e4, local_w_per_hz=0.0),
        "b": report("b", wanted_w_per_hz=1e7, local_w_per_hz=0.0),
        "c": report("c", wanted_w_per_hz=1e7, local_w_per_hz=0.0, rated_w=80_000.0),
    }
    ledger, shares = allocate(None, AREA, reports, RULES, T)
    rest = ledger.admissible_w_per_hz - 1e4
    assert shares["a"].gain_w_per_hz == pytest.approx(1e4)
    assert shares["b"].gain_w_per_hz == pytest.approx(rest / 3)
    assert shares["c"].gain_w_per_hz == pytest.approx(rest * 2 / 3)


def test_more_is_given_only_after_others_confirmed_less():
    one = {"a": report("a", wanted_w_per_hz=1e7, local_w_per_hz=0.0)}
    first, shares = allocate(None, AREA, one, RULES, T)
    assert shares["a"].gain_w_per_hz == pytest.approx(first.admissible_w_per_hz)
    both = one | {"b": report("b", wanted_w_per_hz=1e7, local_w_per_hz=0.0)}
    second, shares = allocate(first, AREA, both, RULES, T)
    assert shares["a"].gain_w_per_hz == pytest.approx(second.admissible_w_per_hz / 2)
    assert shares["b"].gain_w_per_hz == pytest.approx(0.0, abs=1e-6)
    confirmed = both | {"a": report("a", wanted_w_per_hz=1e7, version=shares["a"].version)}
    third, shares = allocate(second, AREA, confirmed, RULES, T)
    assert shares["b"].gain_w_per_hz == pytest.approx(third.admissible_w_per_hz / 2)


def test_a_gateway_that_is_silent_for_long_counts_with_all_that_its_configuration_allows():
    reports = {name: report(name, local_w_per_hz=0.0) for name in "ab"}
    ledger, shares = allocate(None, AREA, reports, RULES, T)
    later = {
        "a": report("a", t_utc_s=T + 200.0, version=shares["a"].version, local_w_per_hz=9e4),
        "b": report("b", local_w_per_hz=9e4, version=shares["b"].version),
    }
    ledger, _ = allocate(ledger, AREA, later, RULES, T + 50.0)
    assert ledger.grants["b"].held_w_per_hz == pytest.approx(shares["b"].gain_w_per_hz)
    ledger, _ = allocate(ledger, AREA, later, RULES, T + 200.0)
    assert ledger.grants["b"].held_w_per_hz >= 9e4


def test_the_reserve_goes_by_energy_that_lasts():
    area = Area(inertia_s=4.0, power_w=1e9, reserve_up_w=30_000.0)
    reports = {
        "full": report("full", up_w=40_000.0, up_wh=1e6),
        "low": report("low", up_w=40_000.0, up_wh=5_000.0),  # 20 kW for 15 minutes
    }
    _, shares = allocate(None, area, reports, RULES, T)
    assert shares["full"].reserve_up_w == pytest.approx(20_000.0)
    assert shares["low"].reserve_up_w == pytest.approx(10_000.0)
    assert shares["full"].reserve_down_w is None


class World:
    """Gateways that hear their shares, or do not; `using` is what each really has in force."""

    def __init__(self, names: str) -> None:
        self.names = names
        self.version = dict.fromkeys(names, 0)
        self.using = dict.fromkeys(names, 0.0)
        self.last = {name: report(name, local_w_per_hz=0.0) for name in names}
        self.ledger = None
        self.now = T

    def turn(self, inertia_s: float, reachable: set[str], hears: set[str]) -> None:
        self.now += 1.0
        for name in reachable:
            self.last[name] = report(
                name, t_utc_s=self.now, local_w_per_hz=0.0, version=self.version[name],
                wanted_w_per_hz=1e7,
            )  # fmt: skip
        area = Area(inertia_s=inertia_s, power_w=1e6)
        self.ledger, shares = allocate(self.ledger, area, self.last, RULES, self.now)
        for name in hears & shares.keys():
            self.using[name] = shares[name].gain_w_per_hz
            self.version[name] = shares[name].version


@settings(deadline=None)
@given(st.data())
def test_whoever_is_cut_off_the_gateways_never_use_more_than_the_account_says(data):
    world = World("abcd")
    names = st.sets(st.sampled_from("abcd"))
    largest = 0.0
    for _ in range(data.draw(st.integers(1, 30))):
        inertia_s = data.draw(st.sampled_from([1.0, 2.0, 4.0]))
        world.turn(inertia_s, data.draw(names), data.draw(names))
        largest = max(largest, world.ledger.admissible_w_per_hz)
        assert sum(world.using.values()) <= world.ledger.granted_w_per_hz * (1 + 1e-9)
        for name, grant in world.ledger.grants.items():
            assert world.using[name] <= grant.held_w_per_hz * (1 + 1e-9)
        assert world.ledger.granted_w_per_hz <= largest * (1 + 1e-9)


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=1, max_size=5))
def test_with_everyone_reachable_two_rounds_bring_the_sum_within_the_area(inertias):
    world = World("abc")
    everyone = set("abc")
    for inertia_s in inertias:
        for _ in range(3):
            world.turn(inertia_s, everyone, everyone)
        assert sum(world.using.values()) <= world.ledger.admissible_w_per_hz * (1 + 1e-9)
        assert not world.ledger.overcommitted


SHARE = Share(version=1, lease_s=10.0, inertia_s=2.0, gain_w_per_hz=1000.0, reserve_up_w=500.0)
LOCAL = {INERTIA: 4.0, GAIN: 3000.0, RESERVE_UP: 1500.0, RESERVE_DOWN: math.inf}
TERMS = Terms(hold_s=100.0, decay_s=50.0)


@pytest.mark.parametrize(
    ("age_s", "name", "gain"),
    [
        (0.0, "fresh", 1000.0),
        (50.0, "held", 1000.0),
        (110.0, "held", 1000.0),
        (135.0, "decaying", 2000.0),
        (160.0, "over", None),
        (1e9, "over", None),
    ],
)
def test_a_share_holds_then_gives_way_then_is_over(age_s, name, gain):
    assert phase(SHARE, age_s, TERMS) == name
    assert values(SHARE, age_s, LOCAL, TERMS).get(GAIN) == gain


@given(
    age_s=st.floats(-10, 1e4),
    inertia_s=st.floats(0.01, 100),
    gain=st.floats(0, 1e12),
    reserve=st.none() | st.floats(0, 1e9),
)
def test_a_share_never_widens_the_local_envelope(age_s, inertia_s, gain, reserve):
    share = Share(
        version=1, lease_s=10.0, inertia_s=inertia_s, gain_w_per_hz=gain, reserve_up_w=reserve
    )
    for name, value in values(share, age_s, LOCAL, TERMS).items():
        assert 0.0 <= value <= LOCAL[name]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"version": 1}',
     b'{"version":1,"lease_s":-1,"inertia_s":1,"gain_w_per_hz":1}',
     b'{"version":1,"lease_s":1,"inertia_s":0,"gain_w_per_hz":1}', b"\xff\x00"],
)  # fmt: skip
def test_what_is_no_share_is_nothing(data):
    assert decode(Share, data) is None


def test_values_survive_their_json():
    assert decode(Share, encode(SHARE)) == SHARE
