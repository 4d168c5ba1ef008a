"""From 50 snapshots a second to even telemetry."""

from __future__ import annotations

from collections import Counter

from agent.config import Bus
from agent.utility.bus.identity import EVSE_READING, EVSE_STATUS, READING, STATUS
from agent.utility.bus.openfmb import evsemodule_pb2 as evse
from agent.utility.bus.sampler import Sampler
from tests.utility.bus.conftest import UTC, snapshot, view


def played(identity, snapshots, **settings) -> list[tuple[float, str, bytes]]:
    put: list[tuple[float, str, bytes]] = []
    sampler = Sampler(Bus(**settings), identity, (20.0, 95.0), lambda *m: put.append(m))
    for each in snapshots:
        sampler.take(each)
    return put


def test_ten_readings_a_second_from_fifty_snapshots_on_a_grid_of_utc(identity):
    put = played(identity, [snapshot(UTC + 0.02 * n) for n in range(500)])
    times = [t for t, profile, _ in put if profile == READING]
    assert len(times) == 100
    assert all(abs(10 * t - round(10 * t)) < 1e-3 for t in times)


def test_a_clock_that_is_stepped_back_stops_nothing(identity):
    before = [snapshot(UTC + 0.02 * n) for n in range(50)]
    after = [snapshot(UTC - 3600 + 0.02 * n) for n in range(50)]
    put = played(identity, [*before, *after])
    assert sum(profile == READING for _, profile, _ in put) == 20


def test_evses_and_states_have_their_own_rates(identity):
    shots = [snapshot(UTC + 0.02 * n, (view(),)) for n in range(500)]
    counts = Counter(profile for _, profile, _ in played(identity, shots))
    assert counts[EVSE_READING] == 10
    assert counts[STATUS] == 2
    assert counts[EVSE_STATUS] == 2


def test_a_change_of_state_is_told_with_the_next_evse_reading(identity):
    here, gone = view("CS1/1"), view("CS1/1", plugged=False, p_w=0.0)
    shots = [snapshot(UTC + n, (here if n < 2 else gone, view("CS2/1"))) for n in range(4)]
    states = [evse.EVSEStatusProfile.FromString(payload).evseStatus.eventAndStatusDESE
              for _, profile, payload in played(identity, shots, status_s=3600.0)
              if profile == EVSE_STATUS]  # fmt: skip
    assert [len(each) for each in states] == [2, 1]
    assert states[1][0].PointStatus.state.value == evse.ChargingStateKind_Idle
