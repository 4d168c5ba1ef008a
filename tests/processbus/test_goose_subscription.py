"""The subscription state machine: loss, restart, replay and forgery (IEC 62351-6)."""

import random
from dataclasses import replace

import msgspec
import pytest

from agent.iec61850 import Timestamp
from agent.iec61850.timestamp import TimeQuality
from agent.messages import Validity
from agent.processbus.ethernet import Header
from agent.processbus.frames import ETHERTYPE_GOOSE
from agent.processbus.goose.pdu import GooseMessage
from agent.processbus.goose.sequence import Verdict
from agent.processbus.goose.subscription import GooseExpectation, GooseSubscription
from agent.processbus.goose.values import DataTag, Leaf

HEADER = Header(
    bytes.fromhex("010ccd010001"),
    bytes.fromhex("020000000002"),
    -1,
    ETHERTYPE_GOOSE,
    14,
    1,
    False,
    100,
)
REFERENCE = "BAY1LD0/LLN0$GO$gcb"
EPOCH_S = 1_700_000_000
EXPECTED = GooseExpectation(
    control_block=REFERENCE,
    dat_set="BAY1LD0/LLN0$Ds",
    go_id="gcb",
    appid=1,
    vlan_id=10,
    destination=HEADER.destination,
    conf_rev=1,
    types=(frozenset({DataTag.BOOLEAN}),),
    members=1,
    longest_life_s=10.0,
)


def message(st_num=1, sq_num=0, value=True, t=0.0, **changes):
    fields = {
        "gocb_ref": REFERENCE,
        "dat_set": "BAY1LD0/LLN0$Ds",
        "go_id": "gcb",
        "t": Timestamp.from_utc_ns(int((EPOCH_S + t) * 1e9)),
        "st_num": st_num,
        "sq_num": sq_num,
        "conf_rev": 1,
        "time_allowed_to_live_s": 2.0,
        "values": (Leaf(DataTag.BOOLEAN, value, 0),),
        "members": 1,
    }
    return GooseMessage(**{**fields, **changes})


class Bench:
    def __init__(self, simulation=False, utc=True):
        self.subscription = GooseSubscription(EXPECTED, simulation)
        self.utc = utc
        self.now_s = 0.0

    def take(self, at_s, header=HEADER, **fields):
        self.now_s = at_s
        utc_ns = int((EPOCH_S + at_s) * 1e9) if self.utc else None
        return self.subscription.take(header, message(**fields), at_s, utc_ns)

    @property
    def value(self):
        values = self.subscription.values()
        return values[0].value if values else None

    def validity(self, at_s=None):
        return self.subscription.validity(self.now_s if at_s is None else at_s)


@pytest.fixture
def bench():
    """Follows a publisher in state 1 since two messages."""
    bench = Bench()
    bench.take(0.0, sq_num=0)
    bench.take(1.0, sq_num=1)
    assert bench.validity() is Validity.GOOD
    return bench


def test_nothing_is_known_before_the_first_message():
    assert Bench().validity(5.0) is Validity.INVALID


def test_the_first_message_alone_is_not_trusted_yet():
    bench = Bench()
    assert bench.take(0.0) is Verdict.NEW_STATE
    assert bench.validity() is Validity.QUESTIONABLE
    assert bench.take(0.002, sq_num=1) is Verdict.REPEATED
    assert bench.validity() is Validity.GOOD


def test_a_new_state_is_taken_at_once(bench):
    assert bench.take(1.5, st_num=2, value=False, t=1.5) is Verdict.NEW_STATE
    assert bench.value is False
    assert bench.validity() is Validity.GOOD


def test_time_to_live_is_kept_on_the_monotonic_clock(bench):
    assert bench.validity(2.999) is Validity.GOOD
    assert bench.validity(3.0) is Validity.QUESTIONABLE
    assert bench.subscription.health(3.0).alive is False
    assert bench.subscription.health(3.0).reason == "time to live expired"
    assert bench.take(4.0, sq_num=2) is Verdict.REPEATED
    assert bench.validity() is Validity.GOOD


def test_lost_repetitions_are_counted_and_harmless(bench):
    assert bench.take(1.9, sq_num=4) is Verdict.REPEATED
    assert bench.subscription.counters.lost == 2


def test_counters_wrap():
    bench = Bench()
    bench.take(0.0, st_num=2**32 - 1, sq_num=2**32 - 1)
    assert bench.take(0.5, st_num=2**32 - 1, sq_num=0) is Verdict.REPEATED
    assert bench.take(1.0, st_num=1, sq_num=0, t=1.0) is Verdict.NEW_STATE


def test_a_duplicate_does_not_lengthen_the_life(bench):
    assert bench.take(2.9, sq_num=1) is Verdict.DUPLICATE
    assert bench.validity(3.1) is Validity.QUESTIONABLE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"conf_rev": 2}, "confRev"),
        ({"dat_set": "X"}, "datSet"),
        ({"go_id": "X"}, "goID"),
        ({"nds_com": True}, "ndsCom"),
        ({"simulation": True}, "simulation"),
        ({"time_allowed_to_live_s": 0.0}, "timeAllowedtoLive 0"),
        ({"st_num": 0}, "stNum 0"),
        ({"members": 2}, "data set"),
        ({"values": (Leaf(DataTag.INTEGER, 1, 0),)}, "data set"),
        ({"values": ()}, "data set"),
        ({"header": replace(HEADER, appid=2)}, "APPID"),
        ({"header": replace(HEADER, vlan=11)}, "VLAN"),
        ({"header": replace(HEADER, source=bytes(6))}, "source address"),
        ({"header": replace(HEADER, destination=bytes(6))}, "destination address"),
    ],
)
def test_what_the_scl_does_not_say_is_refused(bench, fields, reason):
    wanted = {"st_num": 2, "t": 1.5, "value": False, **fields}
    if "values" in fields:
        del wanted["value"]
    assert bench.take(1.5, **wanted) is None
    assert bench.value is True
    assert bench.subscription.counters.rejected == {reason: 1}
    assert bench.subscription.health(1.5).reason == reason


def test_simulated_messages_hide_the_real_ones_where_permitted():
    bench = Bench(simulation=True)
    bench.take(0.0)
    bench.take(0.1, sq_num=1)
    assert bench.take(0.2, st_num=7, value=False, t=0.2, simulation=True) is Verdict.NEW_STATE
    assert bench.take(0.3, sq_num=2, value=True) is Verdict.REPEATED
    assert bench.value is False
    assert bench.subscription.health(0.3).simulated is True


def test_a_test_set_has_an_address_of_its_own_and_leaves_no_trace(bench):
    test_set = replace(HEADER, source=bytes.fromhex("0200000000aa"))
    simulated = {"simulation": True, "st_num": 9, "value": False}
    assert bench.take(1.1, test_set, t=1.1, **simulated) is None
    bench.subscription.simulate(True)
    assert bench.value is True, "nothing simulated has come yet"
    assert bench.take(1.2, test_set, t=1.1, **simulated) is Verdict.NEW_STATE
    assert bench.take(1.3, test_set, t=1.1, sq_num=1, **simulated) is Verdict.REPEATED
    assert (bench.value, bench.validity()) == (False, Validity.GOOD)
    assert bench.take(1.4, sq_num=2) is Verdict.REPEATED
    assert bench.value is False, "the real one is hidden"
    bench.subscription.simulate(False)
    assert (bench.value, bench.validity()) == (True, Validity.GOOD)
    assert bench.subscription.health(1.5).simulated is False


def test_a_replayed_state_is_never_taken_again(bench):
    bench.take(1.5, st_num=2, value=False, t=1.5)
    for sq_num in range(5):
        assert bench.take(1.6 + sq_num / 100, st_num=1, sq_num=sq_num, value=True) is not None
        assert bench.value is False
    # Not even when the publisher has died.
    for sq_num in range(20):
        verdict = bench.take(60 + sq_num / 10, st_num=1, sq_num=sq_num, value=True)
        assert verdict is Verdict.REPLAYED
    assert bench.value is False


def test_a_poisoned_high_st_num_does_not_lock_the_publisher_out(bench):
    for sq_num in range(10):
        poison = bench.take(1.1 + sq_num / 100, st_num=2**32 - 2, sq_num=sq_num, value=False, t=1.1)
        assert poison is Verdict.QUARANTINED
    assert bench.take(1.5, st_num=1, sq_num=2) is Verdict.REPEATED
    assert bench.take(1.6, st_num=2, value=True, t=1.6) is Verdict.NEW_STATE
    assert bench.validity() is Validity.GOOD


def test_a_poisoned_high_sq_num_does_not_lock_the_publisher_out(bench):
    assert bench.take(1.1, sq_num=2**31 - 5) is Verdict.REPLAYED
    assert bench.take(1.5, sq_num=2) is Verdict.REPEATED


def test_a_forged_next_state_is_exposed_by_the_publisher_that_goes_on(bench):
    bench.take(1.2, st_num=2, value=False, t=1.2)
    assert bench.take(1.3, st_num=1, sq_num=2, value=True) is Verdict.REPLAYED
    assert bench.validity() is Validity.INVALID
    assert bench.subscription.health(1.3).reason == "two publishers"


def test_the_same_state_with_other_values_is_refused(bench):
    assert bench.take(1.2, sq_num=2, value=False).taken is False
    assert bench.take(1.2, sq_num=2, value=False, t=1.2) is Verdict.INCONSISTENT
    assert bench.value is True


@pytest.mark.parametrize("st_num", [1, 40])
def test_a_restarted_publisher_is_followed_once_it_has_proved_itself(st_num):
    bench = Bench()
    bench.take(0.0, st_num=st_num)
    bench.take(0.5, st_num=st_num, sq_num=1)
    verdicts = [bench.take(5.0 + n / 100, st_num=1, sq_num=n, t=5.0, value=False) for n in range(4)]
    assert verdicts == [
        Verdict.QUARANTINED,
        Verdict.QUARANTINED,
        Verdict.NEW_STATE,
        Verdict.REPEATED,
    ]
    assert bench.validity() is Validity.GOOD


def test_missed_states_are_followed_once_the_old_sequence_is_silent(bench):
    verdicts = [bench.take(1.5 + n * 0.6, st_num=4, sq_num=n, t=1.4, value=False) for n in range(5)]
    assert Verdict.NEW_STATE in verdicts
    assert bench.value is False
    assert verdicts.index(Verdict.NEW_STATE) * 0.6 + 1.5 >= 3.0


def test_a_time_in_the_future_is_refused_while_the_clock_is_known(bench):
    assert bench.take(1.5, st_num=2, value=False, t=60.0) is Verdict.FUTURE
    assert bench.value is True
    blind = Bench(utc=False)
    blind.take(0.0)
    assert blind.take(0.1, st_num=2, t=60.0) is Verdict.NEW_STATE


def test_a_failed_clock_of_the_publisher_is_questionable(bench):
    broken = Timestamp(EPOCH_S + 2, 0, TimeQuality(clock_failure=True))
    assert bench.take(1.9, st_num=2, t=0, value=False) is not Verdict.NEW_STATE
    fields = message(st_num=2, sq_num=0, value=False)
    fields = msgspec.structs.replace(fields, t=broken)
    assert bench.subscription.take(HEADER, fields, 2.0, None) is Verdict.NEW_STATE
    assert bench.validity(2.1) is Validity.QUESTIONABLE


def test_a_long_time_to_live_is_not_believed(bench):
    bench.take(2.0, sq_num=2, time_allowed_to_live_s=4_000_000.0)
    assert bench.validity(11.9) is Validity.GOOD
    assert bench.validity(12.1) is Validity.QUESTIONABLE


def _forgery(rng: random.Random, seen: list[dict], now_s: float) -> dict:
    """One message of an attacker who has recorded the bus and writes what he likes."""
    kind = rng.randrange(9)
    old = dict(rng.choice(seen[:-3]))
    if kind == 0:
        return old
    if kind == 1:
        return {**old, "sq_num": old["sq_num"] + rng.randrange(1, 2**31)}
    if kind == 2:
        return {"st_num": rng.randrange(10**6, 2**32), "t": now_s, "value": False}
    if kind == 3:
        return {"st_num": 1, "sq_num": rng.randrange(3), "t": now_s - 0.5, "value": False}
    if kind == 4:
        return {**seen[-1], "sq_num": seen[-1]["sq_num"] + 1, "value": False}
    if kind == 5:
        return {**seen[-1], "st_num": seen[-1]["st_num"] + 1, "conf_rev": 2, "value": False}
    if kind == 6:
        return {**seen[-1], "st_num": seen[-1]["st_num"] + 1, "simulation": True, "value": False}
    if kind == 7:
        return {
            **seen[-1],
            "st_num": seen[-1]["st_num"] + 1,
            "t": now_s,
            "value": False,
            "header": replace(HEADER, source=bytes([2, 0, 0, 0, 1, rng.randrange(256)])),
        }
    return {
        **seen[-1],
        "st_num": seen[-1]["st_num"] + rng.randrange(2, 50),
        "t": now_s,
        "value": False,
    }


def test_ten_thousand_replays_and_forgeries_none_acted_on():
    rng = random.Random(62351)
    bench = Bench()
    now_s, st_num, sq_num, since = 0.0, 10, 0, 0.0
    seen = []
    forged = 0
    for _ in range(2500):
        # The publisher says True, changes its state now and then, and repeats itself.
        now_s += rng.uniform(0.05, 0.5)
        if rng.random() < 0.1:
            st_num, sq_num, since = st_num + 1, 0, now_s
        honest = {"st_num": st_num, "sq_num": sq_num, "t": since, "value": True}
        seen.append(honest)
        sq_num += 1
        assert bench.take(now_s, **honest).taken
        if len(seen) < 10:
            continue
        for _ in range(4):
            now_s += 0.002
            fields = _forgery(rng, seen, now_s)
            verdict = bench.take(now_s, **fields)
            forged += 1
            assert bench.value is True, fields
            assert verdict is None or not verdict.taken, fields
    assert forged >= 9_900
