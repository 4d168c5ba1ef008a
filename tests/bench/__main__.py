"""`make bench`: every area's figures in one run → a table and `build/bench.json`.

Each module of this folder with a `run() -> dict[str, float]` is one area. Figures are measured,
never judged: timings decide no test. Compare ratios within one run, not runs with each other.

    python -m tests.bench [AREA …]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent
OUTPUT = FOLDER.parent.parent / "build" / "bench.json"


def areas() -> list[str]:
    """Names of the areas that can be measured."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


def measure(name: str) -> dict[str, float]:
    """Run one area; what it cannot measure here it leaves out and says so."""
    module = importlib.import_module(f"tests.bench.{name}")
    return {key: float(value) for key, value in module.run().items()}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…")
    parser.add_argument("areas", nargs="*", choices=[[], *areas()], help="default: all")
    chosen = parser.parse_args().areas or areas()
    console = Console()
    figures: dict[str, float] = {}
    failed = []
    for name in chosen:
        started_s = time.monotonic()
        try:
            measured = measure(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        figures.update(measured)
        table = Table("figure", "value", title=f"{name} ({time.monotonic() - started_s:.0f} s)")
        for key, value in measured.items():
            table.add_row(key, f"{value:,.4g}")
        console.print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    console.print(f"wrote {OUTPUT}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
