"""One self-contained HTML file: figures with their script inside, tables, sources, conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import plotly.io
import plotly.offline


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Attributes:
        title: Its heading. `text`: a sentence or two before the figure.
        figure: A plotly figure, or None.
        head, rows: A table; `head` empty where there is none.
        notes: Small print after it: formulas, sources.
    """

    title: str
    text: str = ""
    figure: Any = None
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Attributes:
        title, subtitle: On top. `verdicts`: (good, sentence) that answer the question first.
        figures: The numbers that matter, (name, value, unit).
        conditions: What it is true under, (name, value).
    """

    title: str
    subtitle: str
    verdicts: tuple[tuple[bool | None, str], ...] = ()
    figures: tuple[tuple[str, str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    conditions: tuple[tuple[str, str], ...] = field(default=())


def write_report(path: Path, report: Report) -> None:
    """Write the report; it needs no other file and no network."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    folder = resources.files("agent.study").joinpath("templates")
    template = environment.from_string(folder.joinpath("report.html.j2").read_text("utf-8"))
    drawn = [_html(section.figure, number) for number, section in enumerate(report.sections)]
    html = template.render(
        report=report,
        sections=list(zip(report.sections, drawn, strict=True)),
        script=plotly.offline.get_plotlyjs() if any(drawn) else "",
    )
    path.write_text(html, encoding="utf-8")


def number(value: float, digits: int = 3) -> str:
    """Return a number as an engineer writes it: thousands apart, a dash for none."""
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    text = f"{value + 0.0:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def table(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return rows as the report holds them."""
    return tuple(tuple(row) for row in rows)


def _html(figure: Any, at: int) -> str:
    if figure is None:
        return ""
    text: str = plotly.io.to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=f"figure-{at}",
        config={"displaylogo": False, "responsive": True},
    )
    return text
