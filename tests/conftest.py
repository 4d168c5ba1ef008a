"""What all tests share: `make soak` writes what its campaigns showed into `docs/soak.md`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no counterexample.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

DOCS = Path(__file__).resolve().parent.parent / "docs"
DATA = DOCS / "soak.json"
PAGE = DOCS / "soak.md"

_results: dict[str, dict[str, Any]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect each campaign's outcome, time, and what it recorded with `record_property`."""
    if "soak" not in report.keywords or report.when == "teardown":
        return
    name = report.nodeid.split("[")[0]
    entry = _results.setdefault(
        name, {"passed": 0, "failed": 0, "skipped": 0, "seconds": 0.0, "figures": {}}
    )
    entry["seconds"] += report.duration
    entry["figures"].update(dict(report.user_properties))
    if report.when == "call" or not report.passed:
        entry[report.outcome] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page; campaigns that did not run this time keep their last result."""
    ran = {name: entry for name, entry in _results.items() if entry["passed"] or entry["failed"]}
    if not ran or session.config.option.collectonly:
        return
    known = json.loads(DATA.read_text()) if DATA.exists() else {}
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known.update(
        {name: {**entry, "when": stamp, "machine": machine} for name, entry in ran.items()}
    )
    DATA.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    PAGE.write_text("\n".join(_page(known)) + "\n")


def _page(known: dict[str, dict[str, Any]]) -> Iterable[str]:
    yield "# Long campaigns"
    yield ""
    yield "Written by `make soak`. Each row is the last run of one campaign; `make test` holds a"
    yield "fixed sample of each."
    yield ""
    yield "| campaign | passed | failed | time | measured | when (UTC) | machine |"
    yield "|---|---|---|---|---|---|---|"
    for name, entry in sorted(known.items()):
        figures = ", ".join(f"{key} {value}" for key, value in entry["figures"].items())
        title = name.removeprefix("tests/").replace(".py::test_", ": ").replace("_", " ")
        yield (
            f"| {title} | {entry['passed']} | {entry['failed']} | {entry['seconds']:.0f} s "
            f"| {figures} | {entry['when']} | {entry['machine']} |"
        )
