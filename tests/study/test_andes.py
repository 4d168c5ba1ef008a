"""ANDES, a full-network simulator that we did not write, on the same contingencies.

Its first start generates code for minutes, so these are campaigns (`make soak`).
"""

from __future__ import annotations

import numpy as np
import pytest

from agent.study.cases import Case, batch_of
from agent.study.grid import model_of, step_response
from agent.study.margin import fleet_loop, margin_of
from agent.study.simulate import loop_of, started
from agent.study.systems import find_system
from tests.study.conftest import LINEAR, study

pytest.importorskip("andes", reason="needs the extra andes")

from agent.study.cosimulation import cosimulate, single_area

pytestmark = [pytest.mark.peer, pytest.mark.soak, pytest.mark.timeout(1800)]

DT_S = 0.02
CASES = {"ieee14": "ieee14/ieee14_full.xlsx", "ieee39": "ieee39/ieee39_full.xlsx"}


def test_one_area_is_the_same_in_andes(record_property):
    system = find_system("tgov1-area")
    course = single_area(system, 0.1, 15.0)
    ours = step_response(model_of(system), course.t_s, -0.1)
    apart = abs(ours.min() / course.deviation_pu.min() - 1.0)
    record_property("nadir of one area apart from ANDES", f"{apart:.2e}")
    assert apart < 1e-3


@pytest.mark.parametrize(
    ("name", "unit", "tolerance", "constant_power"),
    [
        ("ieee14", "GENROU_2", 0.05, True),
        ("ieee14", "GENROU_3", 0.05, True),
        ("ieee14", "GENROU_4", 0.05, True),
        ("ieee39", "GENROU_2", 0.10, True),
        ("ieee39", "GENROU_5", 0.10, True),
        ("ieee39", "GENROU_7", 0.10, True),
        ("ieee39", "GENROU_8", 0.10, True),
    ],
)
def test_nadir_of_a_trip(name, unit, tolerance, constant_power, record_property):
    course = cosimulate(
        CASES[name], unit, None, at_s=1.0, duration_s=5.0, constant_power=constant_power
    )
    system = find_system(name).without(unit)
    loss = system.loss_mw / system.base_mw
    ours = step_response(model_of(system), np.arange(0.0, 5.0, 0.01), -loss).min()
    apart = ours / course.deviation_pu.min() - 1.0
    record_property(f"nadir of {name} without {unit} apart from ANDES", f"{apart:+.1%}")
    assert abs(apart) < tolerance


@pytest.mark.parametrize(("name", "share"), [("ieee14", 0.9), ("ieee39", 30.0)])
def test_the_certificate_is_the_boundary_in_the_full_network(name, share, record_property):
    seconds = 25.0
    fleet = {"name": "x", "count": 60, "share": share, "delay_s": 0.1, "period_s": 0.02} | LINEAR
    fleet |= {"preset": "ERCOT-PFR", "db_uf_hz": 0.0, "db_of_hz": 0.0, "k_uf": 0.01, "k_of": 0.01}
    base = study(
        fleet=fleet, grid={"system": name}, study={"name": "x", "duration_s": seconds, "dt_s": DT_S}
    )
    batch = batch_of(base, [Case()])
    k, delays, weights, periods, lag = loop_of(started(batch, batch.members[0]), 0, DT_S)
    margin = margin_of(fleet_loop(model_of(batch.systems[0]), k, delays, weights, periods, lag))
    mean = float(delays.mean()) + 0.5 * DT_S
    grown = []
    for factor in (0.95, 1.05):
        # The network itself is in ANDES, so its delay is not the vehicles' there.
        extra = factor * (mean + margin.delay_s) - mean - batch.systems[0].network_s
        late = batch_of(base, [Case(delay_s=0.1 + extra)])
        course = cosimulate(
            CASES[name], "", started(late, late.members[0]), at_s=0.5, duration_s=seconds
        )
        moved = np.diff(course.deviation_pu)
        quarter = len(moved) // 4
        grown.append(moved[-quarter:].std() / moved[-2 * quarter : -quarter].std())
    record_property(f"{name}: growth at 0.95 and 1.05 of the margin",
                    f"{grown[0]:.3f}, {grown[1]:.3f}")  # fmt: skip
    assert grown[0] < 1.0 < grown[1]
