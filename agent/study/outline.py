"""What the report of a study says, in the order in which a planner asks."""

from __future__ import annotations

import numpy as np

from agent.study import figures, statistics
from agent.study.grid import Floats, model_of
from agent.study.margin import fleet_loop, inertia_margin_s, margin_of
from agent.study.report import Report, Section, number, table
from agent.study.run import MARGIN_FACTORS, Outcome
from agent.study.search import Found, holds
from agent.study.simulate import loop_of

ANSWERS = (
    ("nadir_hz", "Nadir", "Hz", 3),
    ("nadir_s", "Time of the nadir after the loss", "s", 2),
    ("zenith_hz", "Highest frequency", "Hz", 3),
    ("rocof_hz_s", "RoCoF over 500 ms", "Hz/s", 3),
    ("settled_hz", "Settled frequency", "Hz", 3),
    ("settling_s", "Settling time", "s", 1),
    ("damping", "Damping ratio of the swing", "", 2),
    ("residual_hz", "Residual oscillation, peak to peak", "Hz", 4),
    ("beta_mw_per_hz", "Frequency bias β", "MW/Hz", 0),
    ("peak_pu", "Largest answer of the fleet", "pu", 4),
    ("export_mwh", "Energy exported above the schedule", "MWh", 3),
    ("import_mwh", "Energy imported above the schedule", "MWh", 3),
    ("wear_schmalstieg_ppm", "Wear, mean vehicle (Schmalstieg 2014)", "ppm of capacity", 3),
    ("wear_xu_ppm", "Wear, mean vehicle (Xu 2018)", "ppm of life", 3),
    ("stable", "Oscillation dies out (1) or grows (0)", "", 0),
)


def report_of(outcome: Outcome) -> Report:
    """Return the report of a study."""
    study, base = outcome.study, outcome.base
    tiles = [(name, number(base[key][1], digits), unit) for key, name, unit, digits in ANSWERS[:9]]
    tiles.append(("Delay margin of the fleet", number(outcome.margin.delay_s, 3), "s"))
    sections = [_base(outcome), _power(outcome), _margin(outcome)]
    sections += [*_sweep(outcome), *_random(outcome), *_searches(outcome)]
    return Report(
        title=study.study.name,
        subtitle=study.study.description or outcome.batch.systems[1].title,
        verdicts=tuple(_verdicts(outcome)),
        figures=tuple(tiles),
        sections=tuple(sections),
        conditions=tuple(_conditions(outcome)),
    )


def _verdicts(outcome: Outcome) -> list[tuple[bool | None, str]]:
    base, limit = outcome.base, outcome.study.limit
    gained = 1000.0 * (base["nadir_hz"][1] - base["nadir_hz"][0])
    result: list[tuple[bool | None, str]] = [
        (gained > 0.0, f"The fleet moves the nadir by {gained:+.0f} mHz, from "
         f"{base['nadir_hz'][0]:.3f} to {base['nadir_hz'][1]:.3f} Hz.")
    ]  # fmt: skip
    if limit.nadir_hz is not None or limit.rocof_hz_s is not None:
        held = holds(base, limit)
        words = ["is broken", "holds"]
        result.append(
            (
                bool(held[1]),
                f"The limit {words[int(held[1])]} with V2G, and {words[int(held[0])]} without.",
            )
        )
    margin = outcome.margin
    if not margin.stable:
        result.append((False, "The fleet's loop is unstable at its own delays."))
    elif np.isfinite(margin.delay_s):
        result.append(
            (True, f"Its loop stays stable for {margin.delay_s:.2f} s of further delay; "
             f"K = {outcome.gain_pu:.3g}, gain margin {margin.gain:.2f}.")
        )  # fmt: skip
    if outcome.share is not None:
        result.append(_found(outcome.share, 100.0, "%", "A share of {} holds the limit.",
                             "No share within the bounds holds the limit."))  # fmt: skip
    if outcome.delay is not None:
        result.append(_found(outcome.delay, 1.0, "s", "A mean delay above {} breaks the limit.",
                             "The limit is broken at every delay within the bounds."))  # fmt: skip
    return result


def _found(
    found: Found, factor: float, unit: str, sentence: str, none: str
) -> tuple[bool | None, str]:
    if np.isnan(found.value):
        return False, none
    if found.resolution == 0.0:
        end = f"{found.value * factor:.3g} {unit}"
        return None, f"The limit holds everywhere in the bounds of the search, {end} included."
    text = f"{found.value * factor:.3g} {unit} (± {found.resolution * factor:.2g})"
    return None, sentence.format(text)


def _base(outcome: Outcome) -> Section:
    traces = outcome.traces
    curves = (("without V2G", traces.f_hz[0]), ("with V2G", traces.f_hz[1]))
    rows = [
        (name, number(outcome.base[key][0], digits), number(outcome.base[key][1], digits), unit)
        for key, name, unit, digits in ANSWERS
    ]
    return Section(
        "Frequency after the contingency",
        f"Loss of {outcome.study.loss_pu:.3f} pu at {outcome.study.contingency.at_s:g} s.",
        figures.frequency(traces.t_s, curves, outcome.study.limit.nadir_hz),
        ("", "without V2G", "with V2G", "unit"),
        table(rows),
        ("RoCoF: largest change over a sliding window of 500 ms, divided by it. Settled: mean of "
         "the last tenth. Settling: last leaves a band of 5 % of the settled deviation. "
         "Damping: logarithmic decrement of the turning points.",),
    )  # fmt: skip


def _power(outcome: Outcome) -> Section:
    base_mw = outcome.batch.systems[1].base_mw
    curve = (("fleet", outcome.traces.fleet_pu[1] * base_mw),)
    return Section(
        "Answer of the fleet",
        "Power above what the vehicles did before the contingency.",
        figures.power(outcome.traces.t_s, curve, "MW"),
    )


def _margin(outcome: Outcome) -> Section:
    """Delay margin by gain, with the spread of the fleet's own delays kept."""
    system = outcome.batch.systems[1]
    model = model_of(system)
    rows, mean = [], 0.0
    fleets = [loop_of(fleet, 1, outcome.batch.dt_s) for fleet in outcome.traces.fleets]
    fleets = [fleet for fleet in fleets if fleet[0] > 0.0]
    if fleets:
        gain, delays, weights, periods, lag_s = max(fleets, key=lambda fleet: fleet[0])
        mean = float((delays * weights).sum() / weights.sum())
        for factor in MARGIN_FACTORS:
            k = gain * factor
            margin = margin_of(fleet_loop(model, k, delays, weights, periods, lag_s))
            total = margin.delay_s + mean if margin.stable else np.nan
            rows.append((k, total, inertia_margin_s(system.inertia_s, system.damping_pu, k)))
    return Section(
        "Delay margin",
        "The largest mean delay at which the loop is stable, by the steepness of the droop.",
        figures.margin_chart(rows, (outcome.gain_pu, mean)),
        notes=("L(jω) = K·G(jω)·E[exp(−jωτ)]·sinc(ωT/2)·exp(−jωT/2)/(1 + jωT_lag); Nyquist. "
               "Inertia alone: τ* = 2H·arccos(−D/K)/√(K² − D²).",),
    )  # fmt: skip


def _sweep(outcome: Outcome) -> list[Section]:
    answers, axes = outcome.sweep, outcome.study.sweep
    if not answers or axes is None:
        return []
    sections = []
    inertias = np.unique(answers["inertia_s"])
    for inertia in inertias.tolist() if axes.delay_s else []:
        of = answers["inertia_s"] == inertia
        some = {name: values[of] for name, values in answers.items()}
        margins = outcome.sweep_margins if inertia == outcome.batch.systems[1].inertia_s else ()
        sections.append(
            Section(f"Nadir by share and delay, H = {inertia:g} s", "",
                    figures.nadir_map(_spread(some, axes.delay_s), "delay_s", margins))
        )  # fmt: skip
    if len(inertias) > 1:
        sections.append(
            Section(
                "Nadir by share and inertia",
                "At the shortest delay of the sweep.",
                figures.nadir_map(_first_delay(answers), "inertia_s", ()),
            )
        )
    key, values = ("delay_s", axes.delay_s) if axes.delay_s else ("inertia_s", axes.inertia_s)
    lines = []
    for value in values or (outcome.batch.systems[1].inertia_s,):
        of = np.isclose(answers[key], value, rtol=1e-3) & (answers["inertia_s"] == inertias[-1]) \
            if key == "delay_s" else answers[key] == value  # fmt: skip
        order = np.argsort(answers["share"][of])
        name = f"delay {value:g} s" if key == "delay_s" else f"H = {value:g} s"
        lines.append((name, answers["share"][of][order], answers["nadir_hz"][of][order]))
    if lines and all(len(x) == len(lines[0][1]) for _, x, _ in lines):
        curves = [(name, y) for name, _, y in lines]
        sections.append(
            Section("Nadir against the share of EVs", "",
                    figures.nadir_by_share(lines[0][1], curves, outcome.study.limit.nadir_hz))
        )  # fmt: skip
    return sections


def _spread(answers: dict[str, Floats], delays_s: tuple[float, ...]) -> dict[str, Floats]:
    """Return the answers with the delay that was asked for, also where no vehicle is."""
    asked = np.array(delays_s)
    bare = answers["share"] == 0.0
    delay_s = answers["delay_s"].copy()
    if bare.any():
        delay_s[bare] = np.resize(np.array(delays_s), bare.sum())
    near = np.abs(asked[None, :] - delay_s[:, None]).argmin(axis=1)
    return answers | {"delay_s": asked[near]}


def _first_delay(answers: dict[str, Floats]) -> dict[str, Floats]:
    """Return the answers at the shortest delay of the sweep, and those without vehicles."""
    delays = answers["delay_s"]
    of = np.isnan(delays) | np.isclose(delays, np.nanmin(delays), rtol=1e-3)
    return {name: values[of] for name, values in answers.items()}


def _random(outcome: Outcome) -> list[Section]:
    hit, bare, plan = outcome.random, outcome.random_without, outcome.study.monte_carlo
    if not hit or plan is None:
        return []
    limit, c = outcome.study.limit, plan.confidence
    rows = []
    for name, answers in (("without V2G", bare), ("with V2G", hit)):
        kept = int(holds(answers, limit).sum())
        unstable = int((answers["stable"] == 0.0).sum())
        rows.append((
            name,
            _interval(statistics.mean(answers["nadir_hz"], c), 3),
            _interval(statistics.quantile(answers["nadir_hz"], 0.05, c), 3),
            _interval(statistics.probability(kept, plan.samples, c), 3),
            _interval(statistics.probability(unstable, plan.samples, c), 4),
        ))  # fmt: skip
    curves = (("without V2G", bare["nadir_hz"]), ("with V2G", hit["nadir_hz"]))
    head = ("", "mean nadir, Hz", "5 % worst nadir, Hz", "P(limits hold)", "P(unstable)")
    return [
        Section(f"{plan.samples:,} random contingencies", f"Intervals at {c:.0%} confidence.",
                figures.duration_curve(curves, limit.nadir_hz), head, table(rows),
                ("Mean: normal; quantile: order statistics; probability: Wilson 1927.",))
    ]  # fmt: skip


def _interval(interval: statistics.Interval, digits: int) -> str:
    value, low, high = (number(part, digits) for part in interval)
    return f"{value}  ({low} to {high})"


def _searches(outcome: Outcome) -> list[Section]:
    sections = []
    if outcome.share is not None:
        sections.append(
            Section("Which share holds the limit", "",
                    figures.search(outcome.share, "share of EVs in % of the base", 100.0))
        )  # fmt: skip
    if outcome.delay is not None:
        sections.append(
            Section("Which latency breaks it", "",
                    figures.search(outcome.delay, "mean delay of the vehicles in s", 1.0))
        )  # fmt: skip
    return sections


def _conditions(outcome: Outcome) -> list[tuple[str, str]]:
    study, system = outcome.study, outcome.batch.systems[1]
    doubtful = f"; doubtful: {system.doubtful}" if system.doubtful else ""
    rows = [
        ("System", f"{system.title}: H {system.inertia_s:g} s, D {system.damping_pu:g} pu, "
         f"base {system.base_mw:,.0f} MW, {system.nominal_hz:g} Hz"),
        ("Source", f"{system.source} ({system.edition}), {system.verified}{doubtful}"),
    ]  # fmt: skip
    for spec, members in zip(study.fleet, outcome.batch.members, strict=True):
        preset = members.p.preset
        rows.append((
            f"Fleet {spec.name}",
            f"{spec.count:,} vehicles simulated; {preset.title} ({preset.source}, "
            f"{preset.edition}, {preset.verified}); dispatch {spec.dispatch}; "
            f"gain {'limited as the agent does' if spec.stability_limit else 'not limited'}",
        ))  # fmt: skip
    rows.append(("Seed, step", f"{study.study.seed}, {study.study.dt_s * 1000:g} ms"))
    rows.append(("SHA-256 of the study", study.digest))
    return rows
