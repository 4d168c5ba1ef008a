"""The whole gateway with its bus worker, as processes, against a real nats-server."""

from __future__ import annotations

import asyncio

import pytest

from agent.config import Bus
from agent.utility.bus.identity import READING, Identity
from agent.utility.bus.openfmb import essmodule_pb2 as ess
from tests.utility.bus.site import running_site
from tests.utility.bus.test_jetstream import stored

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]


def counters(shot) -> dict[str, float]:
    return next((w.counters for w in shot.workers if w.name == "bus"), {})


def test_a_stalled_broker_does_not_touch_the_control_tick(tmp_path, nats_server):
    """Telemetry waits on the disk; the tick and the answer to a dip stay as they were."""
    extra = f'\n[bus]\nnats = "{nats_server.url}"\ncommit_s = 0.1\n'
    with running_site(tmp_path, extra) as (site, watch):
        for shot in watch.snapshots(30.0):
            if counters(shot).get("nats_acknowledged", 0) > 20:
                break
        free = watch.during(4.0)
        nats_server.stall()
        site.dip()
        stalled = watch.during(4.0)
        # Ticks follow the measurements; a broker that costs some of them would be seen here.
        ticks = [shots[-1].loop.ticks - shots[0].loop.ticks for shots in (free, stalled)]
        assert ticks[1] > 0.8 * ticks[0]
        assert max(shot.loop.ordered_w for shot in stalled) > 1000.0
        for shot in watch.snapshots(20.0):
            if counters(shot)["outbox_waiting"] > 60:
                break
        assert counters(shot)["outbox_oldest_s"] > 1.0
        nats_server.resume()
        for shot in watch.snapshots(40.0):
            if counters(shot)["outbox_waiting"] < 20:
                break
        assert counters(shot)["outbox_lost"] == 0
    identity = Identity("V2G1", Bus().identity("V2G1"))
    messages = asyncio.run(stored(nats_server, identity))
    readings = [ess.ESSReadingProfile.FromString(payload) for _, payload in messages]
    stamps = [r.readingMessageInfo.messageInfo.messageTimeStamp for r in readings]
    times = [stamp.seconds + 1e-9 * stamp.nanoseconds for stamp in stamps]
    assert times == sorted(set(times))
    assert min(r.essReading.readingMMXU.Hz.mag for r in readings if
               r.essReading.readingMMXU.HasField("Hz")) < 49.9  # fmt: skip
    assert READING.endswith("ESSReadingProfile")


def test_make_run_needs_no_broker_and_starts_no_bus_worker(tmp_path):
    with running_site(tmp_path, "") as (_site, watch):
        (shot,) = [s for s in watch.during(1.5) if s.complete][:1]
        assert "bus" not in [worker.name for worker in shot.workers]
