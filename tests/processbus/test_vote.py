"""Sources of one bus that contradict each other."""

import msgspec
import pytest

from agent.estimation.voting import VotingSettings
from agent.messages import Alarm, Measurement, Validity
from agent.processbus.vote import SourceVote

GOOD = Measurement("A", 0.0, 50.0, 0.0, 230.0, Validity.GOOD, 0.0, 0.0)


def play(vote, seconds, one_by_one=False, **f_hz):
    out = []
    for tick in range(int(seconds * 50)):
        at_s = tick * 0.02
        together = [
            msgspec.structs.replace(
                GOOD, source=name, f_hz=value(at_s), t_utc_s=at_s, published_s=at_s
            )
            for name, value in f_hz.items()
        ]
        if one_by_one:
            for message in together:
                out += list(vote.judge([message]))
        else:
            out += list(vote.judge(together))
    return out


@pytest.fixture
def vote():
    return SourceVote(VotingSettings(nominal_hz=50.0))


def test_a_single_source_is_never_judged(vote):
    out = play(vote, 2, A=lambda t: 50.0 if t < 1 else 48.0)
    assert {m.quality for m in out} == {Validity.GOOD}


@pytest.mark.parametrize("one_by_one", [False, True], ids=["a group", "groups apart"])
def test_one_of_three_that_strays_is_invalid_after_200_ms_and_an_alarm_tells(vote, one_by_one):
    out = play(
        vote, 2, one_by_one, A=lambda t: 50.0, B=lambda t: 50.001, C=lambda t: 50.0 + 0.05 * (t > 1)
    )
    measured = [m for m in out if isinstance(m, Measurement)]
    assert {m.quality for m in measured if m.source != "C"} == {Validity.GOOD}
    invalid = [m.t_utc_s for m in measured if m.quality is Validity.INVALID]
    assert min(invalid) == pytest.approx(1.22, abs=0.03)
    (alarm,) = [m for m in out if isinstance(m, Alarm)]
    assert alarm.source == "C"
    assert alarm.active


def test_of_two_that_disagree_both_are_left_to_the_control(vote):
    out = play(vote, 2, A=lambda t: 50.0, B=lambda t: 50.0 + 0.05 * (t > 1))
    assert {m.quality for m in out if isinstance(m, Measurement)} == {Validity.GOOD}


def test_a_jump_that_no_grid_makes_is_set_aside_where_there_is_another_source(vote):
    out = play(vote, 2, A=lambda t: 50.0, B=lambda t: 50.0 if t < 1 else 49.0)
    late = [m for m in out if isinstance(m, Measurement) and m.t_utc_s > 1.1]
    assert {m.quality for m in late if m.source == "B"} == {Validity.INVALID}
    assert {m.quality for m in late if m.source == "A"} == {Validity.GOOD}
