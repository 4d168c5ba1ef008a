"""One frame for all: written once, whole for whoever missed one, nothing kept for the slow."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest

from agent.hmi import frames
from agent.hmi.broadcast import Broadcaster, Viewer
from agent.hmi.situation import Situation
from tests.hmi.conftest import alarm, evse_view, loop_view, measurement, snapshot


def events(data: bytes) -> dict[str, object]:
    parts = [part.split(b"\ndata: ", 1) for part in data.split(b"\n\n") if part]
    return {name.removeprefix(b"event: ").decode(): json.loads(body) for name, body in parts}


@pytest.fixture
def situation():
    situation = Situation(10)
    situation.take(snapshot(evses=tuple(evse_view(f"CS{i:03d}/1") for i in range(20))))
    return situation


@pytest.fixture
def broadcaster(situation):
    return Broadcaster(situation, 10)


def publish(broadcaster: Broadcaster, at_s: float) -> None:
    broadcaster.publish(time.time(), at_s)


def join(broadcaster: Broadcaster) -> Viewer:
    viewer = Viewer()
    broadcaster.viewers.add(viewer)
    return viewer


def test_a_new_viewer_gets_everything_and_then_what_changes(broadcaster, situation):
    viewer = join(broadcaster)
    publish(broadcaster, 1.0)
    first = events(broadcaster.since(viewer))
    assert set(first) == {"live", "evses", "alarms", "health"}
    assert first["evses"]["complete"] is True
    assert len(first["evses"]["rows"]) == 20
    changed = evse_view("CS003/1", p_w=5000.0)
    situation.take(snapshot(evses=(changed,), complete=False))
    publish(broadcaster, 1.3)
    second = events(broadcaster.since(viewer))
    assert set(second) == {"live", "evses"}
    assert [row[0] for row in second["evses"]["rows"]] == ["CS003/1"]
    assert second["evses"]["complete"] is False


def test_who_missed_a_version_gets_the_whole_part(broadcaster, situation):
    quick, slow = join(broadcaster), join(broadcaster)
    publish(broadcaster, 1.0)
    broadcaster.since(quick)
    broadcaster.since(slow)
    for number in range(1, 4):
        view = evse_view(f"CS00{number}/1", p_w=100.0 * number)
        situation.take(snapshot(evses=(view,), complete=False))
        publish(broadcaster, 1.0 + number)
        assert len(events(broadcaster.since(quick))["evses"]["rows"]) == 1
    late = events(broadcaster.since(slow))
    assert late["evses"]["complete"] is True
    assert len(late["evses"]["rows"]) == 20
    assert slow.missed == 2
    assert quick.missed == 0


def test_a_frame_is_written_once_however_many_look(broadcaster, monkeypatch):
    written = []
    event = frames.event
    monkeypatch.setattr(
        frames, "event", lambda name, data: written.append(name) or event(name, data)
    )
    viewers = [join(broadcaster) for _ in range(20)]
    publish(broadcaster, 1.0)
    sent = {broadcaster.since(viewer) for viewer in viewers}
    assert len(sent) == 1
    assert sorted(written) == ["alarms", "evses", "evses", "health", "live"]


def test_nothing_is_written_while_nobody_looks(broadcaster, monkeypatch):
    monkeypatch.setattr(frames, "event", lambda *_: pytest.fail("written for nobody"))
    publish(broadcaster, 1.0)


def test_alarms_are_sent_when_they_change_and_evses_that_are_gone_go(broadcaster, situation):
    viewer = join(broadcaster)
    publish(broadcaster, 1.0)
    broadcaster.since(viewer)
    situation.take(snapshot(alarms=(alarm(),), evses=tuple(situation.evses.values())[:19]))
    publish(broadcaster, 1.3)
    got = events(broadcaster.since(viewer))
    assert got["alarms"]["alarms"][0]["advice"] == "look at its network and its supply"
    assert got["evses"]["gone"] == ["CS019/1"]


def test_unknown_and_infinite_values_are_null(situation):
    loop = loop_view(gain_limit_w_per_hz=float("inf"), delay_s=float("nan"))
    situation.take(snapshot(loop=loop, measurement=measurement(rocof_hz_s=float("nan"))))
    point = situation.trace(time.time(), 0.0)
    text = frames.event("live", frames.live(situation, point, 0.0))
    live = events(text)["live"]
    assert live["gain_limit"] is None
    assert live["delay_s"] is None
    assert live["f"]["rocof"] is None


def test_an_old_snapshot_leaves_a_gap_in_the_traces(situation):
    assert situation.trace(time.time(), 0.1).f_hz == 50.0
    assert situation.trace(time.time(), 5.0)[1:] == (None, None, None, None)


def test_waiting_viewers_all_wake_with_the_next_frame(broadcaster):
    async def scenario() -> None:
        waiting = [asyncio.create_task(broadcaster.next_frame()) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        publish(broadcaster, 1.0)
        await asyncio.wait_for(asyncio.gather(*waiting[1:]), 5)

    asyncio.run(scenario())


def test_votes_say_who_decides_and_who_is_set_aside(situation):
    now_s = situation.snapshot.mono_s
    health = frames.health(situation, situation.snapshot)
    assert [source["vote"] for source in health["sources"]] == ["decides", "set aside"]
    silent = measurement(source="MU03", published_s=now_s - 5.0)
    situation.sources = (silent,)
    assert frames.health(situation, situation.snapshot)["sources"][0]["vote"] == "silent"
    assert health["certificates"][0]["name"] == "stations certificate"
    assert msgspec.json.encode(health)
