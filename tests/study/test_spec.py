"""Study files: what is wrong is named with its key, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.study.columns import write_table
from agent.study.spec import load_study, study_from
from tests.study.conftest import study, table

EXAMPLES = Path(__file__).parents[2] / "agent" / "study" / "data" / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_examples_load(path):
    assert load_study(path).fleet


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"study.dt_s": 5.0}, r"study\.dt_s: 5 is outside"),
        ({"grid.system": "nordik"}, r"grid\.system: unknown name .*nordic"),
        ({"fleet.preset": "GB-DCC"}, r"fleet\[0\]\.preset"),
        ({"fleet.preset": "IEEE1547-III"}, r"60 Hz, the grid has 50 Hz"),
        ({"fleet.delay_s": {"mean": 1.0, "median": 2.0}}, r"fleet\[0\]\.delay_s: is not one"),
        ({"fleet.delay_s": -1.0}, r"fleet\[0\]\.delay_s: -1 is below 0"),
        ({"fleet.available": "moon"}, r"fleet\[0\]\.available: unknown 'moon' \(known: home"),
        ({"fleet.speed": 1}, r"fleet\[0\]: .*speed"),
        ({"contingency.trip": "G9"}, r"contingency\.trip"),
        ({"limit.search_share": [0, 1]}, r"limit: a search needs"),
    ],
)
def test_a_mistake_is_named(changes, where):
    with pytest.raises(ConfigurationError, match=where):
        study(**changes)


def test_every_mistake_is_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        study(**{"study.dt_s": 5.0, "fleet.share": 999.0, "fleet.preset": "nothing"})
    assert len(caught.value.findings) == 3


def test_measured_latencies_feed_a_fleet(tmp_path):
    write_table(tmp_path / "latencies.csv", {"latency_s": [0.25, 0.5, float("nan")]})
    made = study_from(table(**{"fleet.delay_s": {"file": "latencies.csv"}}), tmp_path, "t.toml")
    assert made.fleet[0].delay_s.values == (0.25, 0.5)


def test_a_missing_file_of_latencies_is_named():
    with pytest.raises(ConfigurationError, match=r"none\.csv"):
        study(**{"fleet.delay_s": {"file": "none.csv"}})


def test_the_digest_changes_with_every_figure():
    assert study().digest == study().digest
    assert study().digest != study(**{"fleet.count": 31}).digest
