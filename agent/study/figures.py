"""The figures of the reports, as plotly figures; each says its units and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from agent.study.answers import Answers
from agent.study.grid import Floats
from agent.study.search import Found

BLUE: Final = "#1f5fa8"
GREY: Final = "#8a8f98"
ORANGE: Final = "#d9722e"
GREEN: Final = "#2e8b57"
POINTS: Final = 1500
_LAYOUT: Final = {
    "template": "plotly_white",
    "height": 380,
    "margin": {"l": 70, "r": 30, "t": 30, "b": 55},
    "legend": {"orientation": "h", "y": 1.12},
    "font": {"family": "system-ui, sans-serif", "size": 13},
}

Figure = Any


def frequency(t_s: Floats, curves: Sequence[tuple[str, Floats]], limit_hz: float | None) -> Figure:
    """Frequency over time, the first curve being the one without V2G."""
    figure = go.Figure(layout=_LAYOUT)
    keep = _thinned(len(t_s))
    colours = (GREY, BLUE, ORANGE, GREEN)
    for number, (name, f_hz) in enumerate(curves):
        line = {"color": colours[number % len(colours)], "width": 2}
        figure.add_scatter(x=t_s[keep], y=f_hz[keep], name=name, line=line)
    if limit_hz is not None:
        figure.add_hline(y=limit_hz, line_dash="dot", annotation_text=f"limit {limit_hz:g} Hz")
    figure.update_xaxes(title="time in s")
    figure.update_yaxes(title="frequency in Hz")
    return figure


def power(t_s: Floats, curves: Sequence[tuple[str, Floats]], unit: str) -> Figure:
    """Power over time: delivered, and what was required, ordered or lost."""
    figure = go.Figure(layout=_LAYOUT)
    keep = _thinned(len(t_s))
    colours = (BLUE, GREY, ORANGE, GREEN)
    for number, (name, values) in enumerate(curves):
        line = {"color": colours[number % len(colours)], "width": 2}
        figure.add_scatter(x=t_s[keep], y=values[keep], name=name, line=line)
    figure.update_xaxes(title="time in s")
    figure.update_yaxes(title=f"power in {unit}, export positive")
    return figure


def envelope(
    t_s: Floats, low: Floats, high: Floats, curves: Sequence[tuple[str, Floats]], unit: str
) -> Figure:
    """The band in which the response has to lie, and where it lay."""
    figure = power(t_s, curves, unit)
    keep = _thinned(len(t_s))
    x = np.concatenate([t_s[keep], t_s[keep][::-1]])
    y = np.concatenate([high[keep], low[keep][::-1]])
    figure.add_scatter(
        x=x, y=y, fill="toself", fillcolor="rgba(46,139,87,0.18)", line={"width": 0},
        name="required envelope", hoverinfo="skip",
    )  # fmt: skip
    return figure


def nadir_map(answers: Answers, across: str, margin_s: Sequence[tuple[float, float]]) -> Figure:
    """Nadir by share and delay, with the delay margin τ* of each share drawn over it."""
    shares, others = np.unique(answers["share"].round(6)), np.unique(answers[across].round(6))
    grid = np.full((len(others), len(shares)), np.nan)
    for share, other, nadir in zip(
        answers["share"].round(6), answers[across].round(6), answers["nadir_hz"], strict=True
    ):
        if np.isfinite(other):
            grid[np.searchsorted(others, other), np.searchsorted(shares, share)] = nadir
    finite = np.isfinite(others)
    bar = {"title": "nadir in Hz"}
    figure = go.Figure(layout=_LAYOUT)
    figure.add_heatmap(
        x=100 * shares, y=others[finite], z=grid[finite], colorscale="RdYlGn", colorbar=bar,
        hovertemplate="share %{x:.1f} %<br>%{y:.3g}<br>nadir %{z:.3f} Hz<extra></extra>",
    )  # fmt: skip
    top = others[finite].max() if finite.any() else 1.0
    shown = [(share, tau) for share, tau in margin_s if tau <= 1.3 * top]
    if shown and across == "delay_s":
        x, y = [100 * share for share, _ in shown], [tau for _, tau in shown]
        line = {"color": "black", "width": 3}
        figure.add_scatter(x=x, y=y, name="delay margin τ*", mode="lines+markers", line=line)
    titles = {"delay_s": "mean delay in s", "inertia_s": "inertia H in s"}
    figure.update_xaxes(title="share of EVs in % of the system's base")
    figure.update_yaxes(title=titles[across])
    return figure


def nadir_by_share(
    shares: Floats, nadirs: Sequence[tuple[str, Floats]], limit_hz: float | None
) -> Figure:
    """Nadir against the share of EVs, a line for each delay or inertia."""
    figure = go.Figure(layout=_LAYOUT)
    for name, values in nadirs:
        figure.add_scatter(x=100 * shares, y=values, name=name, mode="lines+markers")
    if limit_hz is not None:
        figure.add_hline(y=limit_hz, line_dash="dot", annotation_text=f"limit {limit_hz:g} Hz")
    figure.update_xaxes(title="share of EVs in % of the system's base")
    figure.update_yaxes(title="nadir in Hz")
    return figure


def margin_chart(
    rows: Sequence[tuple[float, float, float]], present: tuple[float, float]
) -> Figure:
    """Delay margin by gain: exact loop and inertia alone, and where the fleet is.

    Args:
        rows: (K, τ* of the loop, τ* of inertia alone).
        present: K and mean delay of the fleet.
    """
    figure = go.Figure(layout=_LAYOUT)
    gains = [row[0] for row in rows]
    figure.add_scatter(x=gains, y=[row[1] for row in rows], name="τ* with governors",
                       line={"color": BLUE})  # fmt: skip
    figure.add_scatter(x=gains, y=[row[2] for row in rows], name="τ* of inertia alone",
                       line={"color": GREY, "dash": "dash"})  # fmt: skip
    figure.add_scatter(x=gains, y=[row[2] / 2 for row in rows], name="K ≤ πH/(2τ), the agent's",
                       line={"color": GREEN, "dash": "dot"})  # fmt: skip
    figure.add_scatter(x=[present[0]], y=[present[1]], name="this fleet", mode="markers",
                       marker={"color": ORANGE, "size": 12, "symbol": "diamond"})  # fmt: skip
    figure.update_xaxes(title="gain K in pu of power by pu of frequency")
    figure.update_yaxes(title="delay in s", type="log")
    return figure


def duration_curve(curves: Sequence[tuple[str, Floats]], limit_hz: float | None) -> Figure:
    """Share of the contingencies whose nadir is at least this."""
    figure = go.Figure(layout=_LAYOUT)
    for (name, values), colour in zip(curves, (GREY, BLUE, ORANGE), strict=False):
        ordered = np.sort(values)[::-1]
        share = 100.0 * (np.arange(len(ordered)) + 0.5) / len(ordered)
        keep = _thinned(len(ordered))
        figure.add_scatter(x=share[keep], y=ordered[keep], name=name, line={"color": colour})
    if limit_hz is not None:
        figure.add_hline(y=limit_hz, line_dash="dot", annotation_text=f"limit {limit_hz:g} Hz")
    figure.update_xaxes(title="contingencies in %, best first", range=[0, 100])
    figure.update_yaxes(title="nadir in Hz")
    return figure


def search(found: Found, title: str, factor: float) -> Figure:
    """What was tried, and what held."""
    figure = go.Figure(layout={**_LAYOUT, "height": 240})
    for kept, name, colour in ((True, "holds", GREEN), (False, "does not", ORANGE)):
        x = found.tried[found.holds == kept] * factor
        marker = {"color": colour, "size": 9}
        figure.add_scatter(x=x, y=np.zeros(len(x)), name=name, mode="markers", marker=marker)
    figure.update_xaxes(title=title)
    figure.update_yaxes(visible=False)
    return figure


def latency(delays_s: Floats) -> Figure:
    """How the measured activation delays are spread."""
    figure = go.Figure(layout=_LAYOUT)
    figure.add_histogram(x=delays_s, nbinsx=40, marker={"color": BLUE})
    figure.update_xaxes(title="activation delay in s")
    figure.update_yaxes(title="EVSEs")
    return figure


def _thinned(count: int) -> Any:
    """Return what of `count` points is drawn; more cannot be seen."""
    return slice(None, None, max(count // POINTS, 1))
