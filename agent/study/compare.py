"""Two folders of results side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.errors import ConfigurationError, Finding
from agent.study import figures
from agent.study.columns import numbers, read_table
from agent.study.manifest import read_manifest
from agent.study.report import Report, Section, number, table, write_report

Rows = list[tuple[str, float | None, float | None]]


def compare(a: Path, b: Path) -> Rows:
    """Return every figure of either folder: (name, A, B), None where one has none.

    Raises:
        ConfigurationError: A folder holds no results.
    """
    left, right = _figures(a), _figures(b)
    names = [*left, *(name for name in right if name not in left)]
    return [(name, left.get(name), right.get(name)) for name in names]


def write_comparison(path: Path, a: Path, b: Path, rows: Rows) -> None:
    """Write the comparison as a report, with both courses of frequency where both have one."""
    cells = [
        (name, _cell(x), _cell(y), "" if x is None or y is None else f"{y - x:+.5g}")
        for name, x, y in rows
    ]
    sections = [Section("Figures", "", None, ("", "A", "B", "B − A"), table(cells))]
    courses = [(f"{label}: {folder.name}", folder / "traces.parquet")
               for label, folder in (("A", a), ("B", b))]  # fmt: skip
    if all(file.exists() for _, file in courses):
        tables = [(name, read_table(file)) for name, file in courses]
        shortest = min(len(t) for _, t in tables)
        curves = [(name, numbers(t, "f_hz")[:shortest]) for name, t in tables]
        t_s = numbers(tables[0][1], "t_s")[:shortest]
        sections.insert(0, Section("Frequency", "", figures.frequency(t_s, curves, None)))
    manifests = [read_manifest(folder) for folder in (a, b)]
    write_report(
        path,
        Report(
            title="Comparison",
            subtitle=" and ".join(str(m.get("name", "")) for m in manifests),
            sections=tuple(sections),
            conditions=tuple(
                (label, f"{folder}: digest {m.get('digest', '–')}, seed {m.get('seed', '–')}")
                for label, folder, m in zip("AB", (a, b), manifests, strict=True)
            ),
        ),
    )


def _figures(folder: Path) -> dict[str, float | None]:
    for name in ("summary.json", "scores.json"):
        path = folder / name
        if path.is_file():
            try:
                document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigurationError((Finding(str(path), f"is no JSON: {error}"),)) from error
            found: dict[str, float | None] = document.get("figures", document)
            return found
    raise ConfigurationError((Finding(str(folder), "holds no results of v2g-study"),))


def _cell(value: float | None) -> str:
    return "–" if value is None else number(value, 5)
