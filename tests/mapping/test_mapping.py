"""Mapping files: every mistake is named at once; the shipped one fits the shipped SCL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AlarmCode, ConfigurationError
from agent.iec61850 import ObjectReference
from agent.mapping import Context, Scope, bind, default_folder, load_mapping
from agent.mapping.derived import DERIVED
from agent.mapping.fields import UnknownFieldError, resolve
from agent.mapping.group import summarise
from agent.messages import (
    Alarm,
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    Snapshot,
    Validity,
)
from agent.scl import expand, read_scl
from agent.scl.live import IedModel

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> IedModel:
    return expand(read_scl(ROOT / "scl" / "sample-station.scd", ieds=("V2G1",)), "V2G1")


def snapshot(view: EvseView | None = None, alarms: tuple[Alarm, ...] = ()) -> Snapshot:
    loop = LoopView(
        "droop", 50.0, 0.02, 0.05, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, "", 0.1, None, 1, 0, 0
    )
    measurement = Measurement(
        "mu", 7.0, 49.9, 0.1, 230.0, Validity.HELD, 0.0, 0.0, v_phase_v=(1.0, 2.0, 3.0)
    )
    views = () if view is None else (view,)
    settings = {"db_of_hz": 0.2, "k_of": 0.05}
    return Snapshot(9.0, 0.0, measurement, loop, views, True, alarms, (), settings=settings)


def view(**changes: object) -> EvseView:
    values: dict[str, object] = {
        "evse_id": "a/1", "protocol": "x", "online": True, "plugged": True, "t_utc_s": 8.0,
        "published_s": 0.0, "p_w": 100.0, "soc_pct": 50.0, "capacity_wh": 40_000.0,
    }  # fmt: skip
    return EvseView(EvseStatus(**{**values, **changes}), 0.0, "", 10.0, 20.0)  # type: ignore[arg-type]


def test_the_shipped_mapping_fits_the_shipped_station(model: IedModel) -> None:
    bound, findings = bind(load_mapping(default_folder() / "ied" / "gateway.toml"), model)
    assert findings == []
    assert len(bound.values) > 200
    assert bound.of_scope(Scope.EVSE) == ("EVSE1", "EVSE2", "EVSE3", "EVSE4")
    assert ObjectReference("V2G1EVSE1", "DWGC1", ("WSpt",)) in bound.controls
    hz = next(value for value in bound.values if str(value.value).endswith("MMXU1.Hz.mag.f[MX]"))
    assert str(hz.quality).endswith("MMXU1.Hz.q[MX]")
    assert str(hz.timestamp).endswith("MMXU1.Hz.t[MX]")


BAD = """
name = "bad"
colour = "red"
[[device]]
inst = "EVSE*"
scope = "everything"
[[device]]
inst = "EVSE*"
scope = "evse"
value = [
    { object = "MMXU1.TotW", field = "status.p_v" },
    { object = "MMXU1.TotW" },
    { object = "MMXU1.TotW", field = "status.voltage_v" },
    { object = "MMXU1.TotW", field = "status.p_w", deadband = -1 },
]
control = [{ object = "DWGC1.WSpt", request = "watt-setpont" }]
"""


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    with pytest.raises(ConfigurationError) as refused:
        load_mapping(path)
    text = str(refused.value)
    for expected in (
        "colour: unknown key",
        "scope: Invalid enum value 'everything' (one of gateway, evse, group)",
        "unknown field status.p_v (did you mean status.p_w?)",
        "field is missing",
        "status.voltage_v is no single value",
        "deadband: Expected float >= 0.0",
        "request: Invalid enum value 'watt-setpont'",
        "watt-setpoint",
    ):
        assert expected in text, expected
    assert text.count(str(path)) == len(refused.value.findings)


@pytest.mark.parametrize("content", ["name = ", "\x00", 'name = "x"\ndevice = 3'])
def test_what_is_no_mapping_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"bad\.toml"):
        load_mapping(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_mapping(tmp_path / "none.toml")


MISFIT = """
name = "misfit"
[[device]]
inst = "LD7"
scope = "gateway"
[[device]]
inst = "LD0"
scope = "gateway"
value = [
    { object = "MMXU9.Hz", field = "measurement.f_hz" },
    { object = "MMXU1.Hertz", field = "measurement.f_hz" },
    { object = "MMXU1", field = "measurement.f_hz" },
    { object = "LLN0.Health", field = "loop.mode" },
    { object = "GGIO1.Alm1", field = "loop.target_w" },
]
control = [{ object = "LLN0.Health", request = "stop" }]
setting = [{ object = "MMXU1.Hz", setting = "x" }]
"""


def test_what_does_not_fit_the_scl_is_named(model: IedModel, tmp_path: Path) -> None:
    path = tmp_path / "misfit.toml"
    path.write_text(MISFIT)
    _, findings = bind(load_mapping(path), model)
    text = "\n".join(map(str, findings))
    for expected in (
        "[[device]] LD7: no such logical device",
        "LD0 has no logical node MMXU9",
        "LD0/MMXU1 has no Hertz",
        "names a logical node, not a data object",
        "a field of type str does not fit Enum",
        "a field of type float does not fit BOOLEAN",
        "has no Oper: it cannot be controlled",
        "FC MX is no setting",
    ):
        assert expected in text, expected
    assert len(findings) == 8


def test_a_reading_has_the_quality_and_time_of_its_source() -> None:
    context = Context(snapshot(), view=view())
    frequency = resolve("measurement.f_hz", Scope.EVSE)[0](context)
    assert (frequency.value, frequency.quality, frequency.t_utc_s) == (49.9, Validity.HELD, 7.0)
    power = resolve("status.p_w", Scope.EVSE)[0](context)
    assert (power.value, power.quality, power.t_utc_s) == (100.0, Validity.GOOD, 8.0)
    assert resolve("measurement.v_phase_v.2", Scope.EVSE)[0](context).value == 3.0
    assert resolve("settings.db_of_hz", Scope.EVSE)[0](context).value == 0.2


def test_an_offline_station_and_nan_are_no_values() -> None:
    gone = Context(snapshot(), view=view(online=False, latency_s=float("nan")))
    assert resolve("status.p_w", Scope.EVSE)[0](gone).quality is Validity.INVALID
    assert resolve("status.latency_s", Scope.EVSE)[0](gone).value is None
    nobody = Context(snapshot())
    assert resolve("status.p_w", Scope.EVSE)[0](nobody).value is None


@pytest.mark.parametrize(
    "path", ["status", "nothing.x", "status._key_fields", "derived.nope", "loop.mode.x", ""]
)
def test_a_path_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(UnknownFieldError):
        resolve(path, Scope.EVSE)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"online": False}, 98),
        ({"fault": "ground"}, 11),
        ({"plugged": False}, 1),
        ({"p_w": 5000.0}, 6),
        ({"p_w": 0.0}, 4),
    ],
)
def test_the_operating_state_of_a_der_is_that_of_its_evse(
    changes: dict[str, object], state: int
) -> None:
    assert DERIVED["der_state"](snapshot(), view(**changes), None) == state


def test_the_gateways_health_is_its_worst_alarm() -> None:
    def health(code: AlarmCode, active: bool = True) -> object:
        alarm = Alarm(code, active, "x", "", "", 0.0)
        return DERIVED["gateway_health"](snapshot(alarms=(alarm,)), None, None)

    assert health(AlarmCode.FREQUENCY_LOST) == 3
    assert health(AlarmCode.STATION_LOST) == 2
    assert health(AlarmCode.FREQUENCY_LOST, active=False) == 1


def test_gradient_and_start_are_what_the_droop_means() -> None:
    assert DERIVED["hz_start_over"](snapshot(), None, None) == pytest.approx(50.2)
    assert DERIVED["gradient_over"](snapshot(), None, None) == pytest.approx(40.0)


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(-2e4, 2e4), st.none() | st.floats(0, 100)), max_size=20
    )
)
def test_a_group_counts_only_connected_evses(rows: list[tuple[bool, float, float | None]]) -> None:
    views = [
        view(evse_id=f"g/{n}", online=online, p_w=p_w, soc_pct=soc)
        for n, (online, p_w, soc) in enumerate(rows)
    ]
    group = summarise(views)
    alive = [row for row in rows if row[0]]
    assert (group.members, group.online) == (len(rows), len(alive))
    assert group.delivered_w == pytest.approx(sum(row[1] for row in alive))
    known = [row[2] for row in alive if row[2] is not None]
    assert (group.soc_pct is None) == (not known)
    if known:
        assert min(known) - 1e-9 <= (group.soc_pct or 0.0) <= max(known) + 1e-9
