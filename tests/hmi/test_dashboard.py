"""The Grafana dashboard asks only for what the gateway's metrics have."""

from __future__ import annotations

import json
import re

from prometheus_client.parser import text_string_to_metric_families

from agent.metrics import MetricsView
from tests.hmi.conftest import REPOSITORY, alarm, evse_view, snapshot

DASHBOARD = REPOSITORY / "docs" / "grafana" / "v2g-gateway.json"


def expressions() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def served() -> set[str]:
    view = MetricsView()
    view.take(snapshot(alarms=(alarm(),), evses=(evse_view(),)))
    text = view.render().decode()
    families = text_string_to_metric_families(text)
    return {sample.name for family in families for sample in family.samples}


def test_every_metric_of_the_dashboard_is_served():
    # The latency percentiles come with the first order.
    known = served() | {"v2g_latency_p50_seconds", "v2g_latency_p99_seconds"}
    asked = {name for text in expressions() for name in re.findall(r"\bv2g_\w+", text)}
    assert asked - known == set()
    assert len(asked) > 15


def test_panels_do_not_overlap_and_every_one_uses_the_chosen_source():
    board = json.loads(DASHBOARD.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
