"""Metrics: the snapshot's values under standard names, served only where asked for."""

from __future__ import annotations

import asyncio
import math
import urllib.error
import urllib.request

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.config.metrics import Metrics
from agent.errors import AlarmCode
from agent.messages import (
    Alarm,
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    Role,
    Snapshot,
    SubscriptionHealth,
    Validity,
    WorkerHealth,
    WorkerState,
)
from agent.metrics import MetricsView, serve


def evse(name: str, p_w: float | None = 5000.0) -> EvseView:
    status = EvseStatus(name, "ocpp2.1", True, True, 0.0, 0.0, p_w=p_w, soc_pct=60.0)
    return EvseView(status, 5500.0, "droop", 1000.0, 2000.0)


@pytest.fixture
def snapshot() -> Snapshot:
    loop = LoopView(
        mode="on", nominal_hz=50.0, deadband_hz=0.02, droop_pu=0.05, droop_w=1.0, target_w=2.0,
        ordered_w=5500.0, delivered_w=5000.0, up_w=3.0, down_w=4.0, gain_w_per_hz=5.0,
        gain_limit_w_per_hz=math.inf, gain_reason="", delay_s=math.nan, authority=None,
        ticks=100, missed_ticks=1, setpoints_sent=7,
    )  # fmt: skip
    return Snapshot(
        t_utc_s=1e9,
        mono_s=100.0,
        measurement=Measurement("MU1", 1e9, 49.8, -0.1, 231.0, Validity.GOOD, 99.9, 99.9),
        loop=loop,
        evses=(evse("st1/1"), evse('od"d\n/2', None)),
        complete=True,
        alarms=(
            Alarm(AlarmCode.FREQUENCY_OUT_OF_BOUNDS, True, "MU1", "t", "a", 0.0),
            Alarm(AlarmCode.HANDSHAKE_TIMEOUT, False, "x", "t", "a", 0.0),
        ),
        workers=(WorkerHealth("ied", Role.IED, WorkerState.RUNNING, 1, 2, 0.1, {"clients": 3.0}),),
        subscriptions=(
            SubscriptionHealth("MU1/LLN0.MS.x", "sv", True, False, False, 1, 1, lost=4),
        ),
    )


def values(text: bytes) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_the_snapshot_reads_back_through_prometheus_own_parser(snapshot):
    view = MetricsView()
    view.take(snapshot)
    found = values(view.render())
    assert found["v2g_frequency_hertz"] == 49.8
    assert found["v2g_frequency_age_seconds"] == pytest.approx(0.1)
    assert found["v2g_delivered_watts"] == 5000.0
    assert found["v2g_ticks_total"] == 100
    assert found["v2g_alarm{0x14,MU1}"] == 1
    assert "v2g_alarm{0x22,x}" not in found
    assert found["v2g_worker_up{ied}"] == 1
    assert found["v2g_worker_restarts_total{ied}"] == 2
    assert found["v2g_worker_counter{clients,ied}"] == 3
    assert found["v2g_subscription_lost_frames_total{MU1/LLN0.MS.x,sv}"] == 4
    assert found["v2g_evse_power_watts{st1/1}"] == 5000.0
    assert found["v2g_evse_state_of_charge_ratio{st1/1}"] == 0.6
    assert found['v2g_evse_ordered_watts{od"d\n/2}'] == 5500.0
    assert found["v2g_evses"] == 2


def test_unknown_values_are_left_out(snapshot):
    view = MetricsView()
    view.take(snapshot)
    found = values(view.render())
    assert "v2g_delay_seconds" not in found
    assert "v2g_gain_limit_watts_per_hertz" not in found
    assert 'v2g_evse_power_watts{od"d\n/2}' not in found


def test_partial_snapshots_keep_the_other_evses_and_a_complete_one_drops_the_gone(snapshot):
    view = MetricsView()
    view.take(snapshot)
    view.take(msgspec.structs.replace(snapshot, complete=False, evses=(evse("st1/1", 1.0),)))
    found = values(view.render())
    assert (found["v2g_evses"], found["v2g_evse_power_watts{st1/1}"]) == (2, 1.0)
    view.take(msgspec.structs.replace(snapshot, evses=(evse("st1/1"),)))
    assert values(view.render())["v2g_evses"] == 1


def test_before_the_first_snapshot_there_is_only_the_version():
    assert list(values(MetricsView().render())) == ["v2g_info{0.1.0}"]


def test_no_series_for_single_evses_where_they_are_not_wanted(snapshot):
    view = MetricsView(per_evse=False)
    view.take(snapshot)
    found = values(view.render())
    assert found["v2g_evses"] == 2
    assert not any(name.startswith("v2g_evse_") for name in found)


def test_metrics_are_off_and_local_unless_configured():
    assert Metrics().enabled is False
    assert Metrics().host == "127.0.0.1"


def test_served_over_http_and_nothing_else_is(snapshot):
    view = MetricsView()
    view.take(snapshot)

    def ask(url: str, data: bytes | None = None) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data), timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    async def main() -> list[tuple[int, bytes]]:
        server = await serve(view, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        answers = [
            await asyncio.to_thread(ask, f"{base}/metrics"),
            await asyncio.to_thread(ask, f"{base}/etc/passwd"),
            await asyncio.to_thread(ask, f"{base}/metrics", b"x=1"),
        ]
        server.close()
        return answers

    found = asyncio.run(main())
    assert [status for status, _ in found] == [200, 404, 405]
    assert values(found[0][1])["v2g_frequency_hertz"] == 49.8
