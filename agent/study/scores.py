"""What services pay by, from one recorded event. Every score carries formula and source.

`verified`: `source` read in the document, `secondary` cross-checked elsewhere, `unverified` from
general knowledge. A score that the record cannot answer (too short, no trigger) is NaN and
says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.control.presets import Verified
from agent.study.grid import Floats

DC_TOLERANCE: Final = 0.03
TRE_SUSTAINED_RAMP: Final = 0.821
TRE_LIMIT: Final = 0.75
PJM_SAMPLE_S: Final = 10.0
PJM_LONGEST_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Score:
    """One score.

    Attributes:
        value: NaN where it cannot be told. `passed`: None where the source sets no limit.
        note: Why it is NaN, or what to know about it.
    """

    name: str
    value: float
    unit: str
    formula: str
    source: str
    edition: str
    verified: Verified
    passed: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What the scores look at; arrays of shape (n,) on one even grid of times.

    Attributes:
        t_s: Times. `f_hz`: frequency. `required`: share of full power that is required.
        delivered: Delivered above the base, share of full power. `onset_s`: the event's begin.
        p_w: Delivered power. `full_w`: power at full activation.
    """

    t_s: Floats
    f_hz: Floats
    required: Floats
    delivered: Floats
    p_w: Floats
    full_w: float
    onset_s: float
    nominal_hz: float


def fcr(case: Case) -> list[Score]:
    """Return delivered by required 15 s and 30 s after the onset."""
    result = []
    for after_s, share in ((15.0, 0.5), (30.0, 1.0)):
        at_s = case.onset_s + after_s
        value, note = math.nan, f"the record ends before {after_s:g} s"
        if at_s <= case.t_s[-1]:
            required = float(np.interp(case.onset_s + after_s, case.t_s, case.required))
            delivered = float(np.interp(at_s, case.t_s, case.delivered))
            note = "nothing is required then"
            if abs(required) > 0.01:
                value, note = delivered / required, ""
        result.append(
            Score(f"FCR activation at {after_s:g} s", value, "", "delivered(t) / required(t)",
                  "Regulation (EU) 2017/1485, Annex V (full activation within 30 s)"
                  if share == 1.0 else "ENTSO-E policy 1 (half of it within 15 s)",
                  "2017", "source" if share == 1.0 else "unverified",
                  None if math.isnan(value) else value >= share - 0.05, note)
        )  # fmt: skip
    return result


def ffr(case: Case) -> list[Score]:
    """Return the activation time of the Nordic FFR, for the trigger that the frequency passed."""
    low_hz = float(case.f_hz.min())
    formula = "time from f ≤ trigger to ≥ 95 % of full power"
    source = "Fingrid, technical requirements for FFR (49.7/1.3 s, 49.6/1.0 s, 49.5/0.7 s)"
    result = []
    for trigger_hz, limit_s in ((49.7, 1.3), (49.6, 1.0), (49.5, 0.7)):
        name = f"FFR activation from {trigger_hz} Hz"
        if case.nominal_hz != 50.0 or low_hz > trigger_hz:
            note = f"the frequency stays above {trigger_hz} Hz"
            result.append(Score(name, math.nan, "s", formula, source, "2020", "source", None, note))
            continue
        begin_s = float(case.t_s[np.argmax(case.f_hz <= trigger_hz)])
        there = (case.t_s >= begin_s) & (case.delivered >= 0.95)
        value = float(case.t_s[np.argmax(there)]) - begin_s if there.any() else math.inf
        result.append(Score(name, value, "s", formula, source, "2020", "source", value <= limit_s))
    return result


def dc(case: Case) -> tuple[Score, Floats, Floats]:
    """Return the share of time within the envelope of GB dynamic containment, and the envelope.

    The response may start 0.5 s late and must be full after 1 s: at every instant it lies between
    the least and the most that was required in the last second, ± 3 % of the contract.
    """
    width = max(round(1.0 / float(case.t_s[1] - case.t_s[0])), 1)
    padded = np.concatenate([np.full(width, case.required[0]), case.required])
    windows = np.lib.stride_tricks.sliding_window_view(padded, width + 1)
    low, high = windows.min(axis=1) - DC_TOLERANCE, windows.max(axis=1) + DC_TOLERANCE
    within = (case.delivered >= low) & (case.delivered <= high)
    active = np.abs(windows).max(axis=1) > 0.01
    value = float(within[active].mean()) if active.any() else math.nan
    score = Score(
        "DC time within the envelope", value, "",
        "min, max of required over [t − 1 s, t] ± 3 %",
        "NESO, dynamic containment service terms (start 0.5 s, full 1 s); tolerance of 3 %",
        "2024", "unverified", None if math.isnan(value) else value >= 0.95,
        "times verified; tolerance and share of time are general knowledge",
    )  # fmt: skip
    return score, low, high


def pjm(case: Case) -> list[Score]:
    """Return the legacy performance score: correlation, delay, precision and their mean."""
    grid = np.arange(case.t_s[0], case.t_s[-1], PJM_SAMPLE_S)
    source, formula = "PJM Manual 12, section 4.5.6 (legacy score)", {
        "correlation": "max over shifts of 0 to 5 min of the correlation",
        "delay": "|(shift − 5 min) / 5 min|",
        "precision": "1 − mean|response − signal| / mean|signal|",
        "performance": "(correlation + delay + precision) / 3",
    }  # fmt: skip
    values = dict.fromkeys(formula, math.nan)
    note = "needs 2 minutes of the event"
    if len(grid) >= 12 and np.ptp(case.required) > 0.0:
        signal = np.interp(grid, case.t_s, case.required)
        answer = np.interp(grid, case.t_s, case.delivered)
        most = min(round(PJM_LONGEST_S / PJM_SAMPLE_S), len(grid) // 2)
        shifts = [_correlation(signal[: len(signal) - s], answer[s:]) for s in range(most + 1)]
        best = int(np.argmax(shifts))
        values["correlation"] = shifts[best]
        values["delay"] = abs((best * PJM_SAMPLE_S - PJM_LONGEST_S) / PJM_LONGEST_S)
        mean = float(np.abs(signal).mean())
        values["precision"] = 1.0 - float(np.abs(answer - signal).mean()) / max(mean, 1e-9)
        values["performance"] = (values["correlation"] + values["delay"] + values["precision"]) / 3
        note = ""
    return [
        Score(f"PJM {name}", value, "", formula[name], source, "legacy", "secondary",
              (value >= 0.7) if name == "performance" and not math.isnan(value) else None, note)
        for name, value in values.items()
    ]  # fmt: skip


def tre(case: Case) -> Score:
    """Return the sustained primary response of ERCOT's units (BAL-001-TRE)."""
    formula = "[max MW(T+46…T+60) − pre − 0.821·ramp] / expected, pre = mean MW(T−16…T−2)"
    value, note = math.nan, "the record must hold 60 s before and after the event"
    onset = case.onset_s
    if onset - 60.0 >= case.t_s[0] and onset + 60.0 <= case.t_s[-1]:
        pre_w = float(_window(case, case.p_w, onset - 16.0, onset - 2.0).mean())
        ramp_w = float(np.diff(np.interp([onset - 60.0, onset - 4.0], case.t_s, case.p_w))[0])
        post = _window(case, case.p_w, onset + 46.0, onset + 60.0)
        wanted_w = float(_window(case, case.required, onset + 46.0, onset + 60.0).mean())
        wanted_w *= case.full_w
        note = "nothing is required then"
        if abs(wanted_w) > 0.01 * case.full_w:
            peak_w = float(post.max() if wanted_w > 0.0 else post.min())
            value, note = (peak_w - pre_w - TRE_SUSTAINED_RAMP * ramp_w) / wanted_w, ""
    return Score(
        "TRE sustained primary response", value, "", formula,
        "NERC BAL-001-TRE, attachment 1 (rolling average of eight events ≥ 0.75)", "2",
        "secondary", None if math.isnan(value) else value >= TRE_LIMIT,
        note or "one event; the standard averages eight",
    )  # fmt: skip


def _window(case: Case, values: Floats, begin_s: float, end_s: float) -> Floats:
    return values[(case.t_s >= begin_s) & (case.t_s <= end_s)]


def _correlation(a: Floats, b: Floats) -> float:
    da, db = a - a.mean(), b - b.mean()
    size = float(np.sqrt((da @ da) * (db @ db)))
    return float(da @ db) / size if size > 0.0 else 0.0
