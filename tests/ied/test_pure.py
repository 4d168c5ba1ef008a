"""The parts that are functions of their arguments: control model, modes, values, schedules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.iec61850 import FC, BasicType, ObjectReference, Quality, TimeQuality, Timestamp
from agent.ied.assignment import Assignment
from agent.ied.control_model import ControlPoint, CtlModel
from agent.ied.engines.open61850.types import mms_type, to_data, to_native
from agent.ied.front.framing import Framing
from agent.ied.modes import Mode, behaviour
from agent.ied.orders import split
from agent.ied.port import AccessError, AddCause, ControlOrder, Native, Session, Stage
from agent.ied.schedule import EnablingError, Schedule, ScheduleState
from agent.ied.store import Store
from agent.ied.values import check_value, default_value, parse_value
from agent.messages import EvseStatus, EvseView
from agent.scl.live import DataAttribute

TARGET = ObjectReference("LD", "DWGC1", ("WSpt",))


def order(client: int = 1, value: Native = 5.0, serial: int = 1, **more: object) -> ControlOrder:
    session = Session(client, "192.0.2.1", 1000 + client)
    return ControlOrder(TARGET, value, session, Stage.OPERATE, serial, **more)  # type: ignore[arg-type]


ENHANCED = CtlModel.SBO_ENHANCED


class TestControlModel:
    def test_a_selection_ends_after_its_timeout(self) -> None:
        point = ControlPoint()
        assert point.select(order(), ENHANCED, 0.0, 30.0) is None
        assert point.may_operate(order(), ENHANCED, 29.9) is None
        assert point.may_operate(order(), ENHANCED, 30.0) is AddCause.OBJECT_NOT_SELECTED

    def test_only_the_client_that_selected_operates(self) -> None:
        point = ControlPoint()
        point.select(order(1), ENHANCED, 0.0, 30.0)
        assert point.select(order(2), ENHANCED, 1.0, 30.0) is AddCause.OBJECT_ALREADY_SELECTED
        assert point.may_operate(order(2), ENHANCED, 1.0) is AddCause.LOCKED_BY_OTHER_CLIENT
        assert point.may_operate(order(1), ENHANCED, 1.0) is None

    @pytest.mark.parametrize(
        "changed", [{"value": 6.0}, {"test": True}, {"ctl_num": 9}, {"origin_ident": b"x"}]
    )
    def test_oper_must_be_what_sbow_was(self, changed: dict[str, object]) -> None:
        point = ControlPoint()
        point.select(order(), ENHANCED, 0.0, 30.0)
        cause = point.may_operate(order(**changed), ENHANCED, 1.0)  # type: ignore[arg-type]
        assert cause is AddCause.INCONSISTENT_PARAMETERS
        assert point.may_operate(order(), ENHANCED, 1.0) is AddCause.OBJECT_NOT_SELECTED

    def test_with_normal_security_the_value_may_differ_from_the_select(self) -> None:
        point = ControlPoint()
        point.select(order(), CtlModel.SBO_NORMAL, 0.0, 30.0)
        assert point.may_operate(order(value=6.0), CtlModel.SBO_NORMAL, 1.0) is None

    def test_an_execution_refuses_everything_until_it_ends(self) -> None:
        point = ControlPoint()
        point.operate(order(serial=7))
        for model in (CtlModel.DIRECT_ENHANCED, ENHANCED):
            cause = point.may_operate(order(2), model, 1.0)
            assert cause is AddCause.COMMAND_ALREADY_IN_EXECUTION
        assert point.cancel(order(), ENHANCED, 1.0) is AddCause.COMMAND_ALREADY_IN_EXECUTION
        assert point.finish(8) is None
        assert point.finish(7) is not None
        assert point.may_operate(order(2), CtlModel.DIRECT_ENHANCED, 1.0) is None

    def test_a_waiting_operate_can_be_cancelled_by_its_client_alone(self) -> None:
        point = ControlPoint()
        point.operate(order(1), waiting=True)
        assert point.cancel(order(2), ENHANCED, 1.0) is AddCause.LOCKED_BY_OTHER_CLIENT
        assert point.cancel(order(1), ENHANCED, 1.0) is None
        point.start()
        assert point.cancel(order(1), ENHANCED, 1.0) is AddCause.COMMAND_ALREADY_IN_EXECUTION

    def test_a_client_that_leaves_frees_its_selection_and_not_its_execution(self) -> None:
        point = ControlPoint()
        point.select(order(1), ENHANCED, 0.0, 30.0)
        assert not point.dropped(2)
        assert point.dropped(1)
        assert not point.selected(1.0)
        point.operate(order(1))
        assert not point.dropped(1)
        assert point.executing is not None

    def test_status_only_and_direct_objects_cannot_be_selected(self) -> None:
        point = ControlPoint()
        assert point.may_operate(order(), CtlModel.STATUS_ONLY, 0.0) is AddCause.NOT_SUPPORTED
        for model in (CtlModel.STATUS_ONLY, CtlModel.DIRECT_NORMAL, CtlModel.DIRECT_ENHANCED):
            assert point.select(order(), model, 0.0, 1.0) is AddCause.NOT_SUPPORTED

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=40))
    def test_whatever_happens_one_client_at_most_holds_it(
        self, steps: list[tuple[int, int]]
    ) -> None:
        point = ControlPoint()
        for serial, (step, client) in enumerate(steps, start=1):
            now_s = float(serial)
            told = order(client, serial=serial)
            if step == 0:
                point.select(told, ENHANCED, now_s, 10.0)
            elif step == 1 and point.may_operate(told, ENHANCED, now_s) is None:
                point.operate(told)
            elif step == 2:
                point.cancel(told, ENHANCED, now_s)
            elif step == 3 and point.executing is not None:
                assert point.finish(point.executing.serial) is not None
            elif step == 4:
                point.dropped(client)
            permitted = [
                other
                for other in (1, 2, 3)
                if ControlPoint.may_operate(point, order(other), CtlModel.SBO_NORMAL, now_s) is None
            ]
            assert len(permitted) <= 1
            assert not (permitted and point.executing is not None)


@pytest.mark.parametrize(
    ("device", "node", "result"),
    [
        (Mode.ON, Mode.ON, Mode.ON),
        (Mode.ON, Mode.BLOCKED, Mode.BLOCKED),
        (Mode.BLOCKED, Mode.TEST, Mode.TEST_BLOCKED),
        (Mode.TEST, Mode.ON, Mode.TEST),
        (Mode.TEST, Mode.TEST_BLOCKED, Mode.TEST_BLOCKED),
        (Mode.OFF, Mode.ON, Mode.OFF),
        (Mode.TEST, Mode.OFF, Mode.OFF),
    ],
)
def test_beh_is_the_narrower_of_both_modes(device: Mode, node: Mode, result: Mode) -> None:
    assert behaviour(device, node) is result
    assert behaviour(node, device) is result


def leaf(kind: BasicType) -> DataAttribute:
    return DataAttribute("x", FC.SP, kind)


LEAVES = [kind for kind in BasicType if kind is not BasicType.STRUCT]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_default_value_crosses_the_wire_and_fits(kind: BasicType) -> None:
    value = default_value(leaf(kind))
    assert mms_type(kind)
    assert to_native(kind, to_data(kind, value)) == value
    assert check_value(leaf(kind), value) is None


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_crosses_the_wire(number: float) -> None:
    assert to_native(BasicType.FLOAT32, to_data(BasicType.FLOAT32, number)) == number


@given(st.integers(0, 8191).filter(lambda word: word & 3 != 2))
def test_a_quality_crosses_the_wire(word: int) -> None:
    quality = Quality.from_word(word)
    assert to_native(BasicType.QUALITY, to_data(BasicType.QUALITY, quality)) == quality


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 999_999), st.integers(0, 31))
def test_a_timestamp_crosses_the_wire_to_the_microsecond(
    seconds: int, micros: int, accuracy: int
) -> None:
    quality = TimeQuality(accuracy_bits=accuracy)
    stamp = Timestamp.from_utc_ns((seconds * 1_000_000 + micros) * 1000, quality)
    found = to_native(BasicType.TIMESTAMP, to_data(BasicType.TIMESTAMP, stamp))
    assert isinstance(found, Timestamp)
    assert abs(found.t_utc_ns - stamp.t_utc_ns) <= 2_000
    assert found.quality == quality


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (BasicType.BOOLEAN, "1", True),
        (BasicType.BOOLEAN, "false", False),
        (BasicType.INT8U, "255", 255),
        (BasicType.INT8U, "256", None),
        (BasicType.FLOAT32, "1,5", 1.5),
        (BasicType.FLOAT32, "nan", None),
        (BasicType.FLOAT32, "1e39", None),
        (BasicType.DBPOS, "on", 2),
        (BasicType.CHECK, "01", 2),
        (BasicType.OCTET_64, "zz", None),
        (BasicType.INT32, "", None),
        (BasicType.VIS_STRING_32, "x" * 33, None),
        (BasicType.TIMESTAMP, "2026-01-01T00:00:00Z", Timestamp(1767225600)),
    ],
)
def test_scl_text_means_a_value_or_none(kind: BasicType, text: str, value: Native | None) -> None:
    assert parse_value(leaf(kind), text) == value


@pytest.mark.parametrize(
    ("kind", "value", "refusal"),
    [
        (BasicType.FLOAT32, math.nan, AccessError.VALUE_INVALID),
        (BasicType.FLOAT32, math.inf, AccessError.VALUE_INVALID),
        (BasicType.FLOAT32, True, AccessError.TYPE_INCONSISTENT),
        (BasicType.INT16, 40_000, AccessError.VALUE_INVALID),
        (BasicType.INT16, 1.0, AccessError.TYPE_INCONSISTENT),
        (BasicType.BOOLEAN, 1, AccessError.TYPE_INCONSISTENT),
        (BasicType.VIS_STRING_32, "x" * 33, AccessError.VALUE_INVALID),
        (BasicType.QUALITY, 3, AccessError.TYPE_INCONSISTENT),
        (BasicType.CHECK, 4, AccessError.VALUE_INVALID),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    kind: BasicType, value: Native, refusal: AccessError
) -> None:
    assert check_value(leaf(kind), value) is refusal


@given(st.lists(st.integers(3, 200), max_size=12), st.lists(st.integers(1, 50), min_size=1))
def test_packets_are_counted_however_they_are_cut(sizes: list[int], cuts: list[int]) -> None:
    stream = b"".join(b"\x03\x00" + (4 + size).to_bytes(2, "big") + bytes(size) for size in sizes)
    framing, offset, turn = Framing(), 0, 0
    while offset < len(stream):
        step = cuts[turn % len(cuts)]
        framing.feed(stream[offset : offset + step])
        offset, turn = offset + step, turn + 1
    assert framing.packets == len(sizes)


@pytest.mark.parametrize("octets", [b"\x02\x00\x00\x10", b"\x03\x00\x00\x06", b"HTTP"])
def test_what_is_no_tpkt_is_refused(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        Framing().feed(octets)


class TestSchedule:
    PLAN = Schedule((100.0, -200.0), 60.0, (1000.0, 5000.0), 1, False)

    @pytest.mark.parametrize(
        ("t", "state", "value"),
        [
            (999.0, ScheduleState.READY, None),
            (1000.0, ScheduleState.RUNNING, (100.0, 1060.0)),
            (1059.9, ScheduleState.RUNNING, (100.0, 1060.0)),
            (1060.0, ScheduleState.RUNNING, (-200.0, 1120.0)),
            (1120.0, ScheduleState.READY, None),
            (5120.0, ScheduleState.NOT_READY, None),
        ],
    )
    def test_it_runs_entry_by_entry(
        self, t: float, state: ScheduleState, value: tuple[float, float] | None
    ) -> None:
        assert self.PLAN.state(t) is state
        assert self.PLAN.value(t) == value

    def test_changes_are_the_borders_of_entries(self) -> None:
        t, seen = 0.0, []
        while (following := self.PLAN.next_change(t)) is not None:
            seen.append(following)
            t = following
        assert seen == [1000.0, 1060.0, 1120.0, 5000.0, 5060.0, 5120.0]

    def test_a_schedule_that_may_be_used_again_waits_for_a_start_time(self) -> None:
        again = Schedule((1.0,), 1.0, (10.0,), 1, True)
        assert again.state(20.0) is ScheduleState.START_TIME_REQUIRED

    @pytest.mark.parametrize(
        ("schedule", "error"),
        [
            (Schedule((), 60.0, (), 1, False), EnablingError.NUM_ENTR),
            (Schedule((1.0,), 0.0, (), 1, False), EnablingError.SCHD_INTV),
            (Schedule((math.nan,), 1.0, (), 1, False), EnablingError.VALUES),
            (Schedule((1.0,), 1.0, (), 1, False), EnablingError.NONE),
        ],
    )
    def test_an_inconsistent_schedule_says_why(
        self, schedule: Schedule, error: EnablingError
    ) -> None:
        assert schedule.error() is error


def view(name: str, limit_w: float, *, online: bool = True) -> EvseView:
    status = EvseStatus(
        name, "x", online, True, 0.0, 0.0, discharge_max_w=limit_w, charge_max_w=limit_w / 2
    )
    return EvseView(status, 0.0, "", 0.0, 0.0)


@given(st.lists(st.floats(100, 22_000), min_size=1, max_size=20), st.floats(-1.0, 1.0))
def test_a_groups_order_is_shared_within_every_limit(limits: list[float], part: float) -> None:
    members = [view(f"g/{n}", limit) for n, limit in enumerate(limits)]
    able = sum(limits) if part > 0 else sum(limits) / 2
    shares = split(part * able, members)
    assert sum(shares.values()) == pytest.approx(part * able, abs=1e-6)
    for member in members:
        limit = member.status.discharge_max_w if part > 0 else member.status.charge_max_w
        assert abs(shares[member.evse_id]) <= limit * (1 + 1e-9)


def test_a_group_without_connected_evses_takes_no_order() -> None:
    assert split(100.0, [view("g/1", 10.0, online=False)]) == {}


def test_stored_values_survive_and_a_broken_file_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    store = Store(path)
    values: dict[tuple[ObjectReference, int], Native] = {
        (ObjectReference("LD", "A1", ("x",), FC.SP), 0): 1.5,
        (ObjectReference("LD", "A1", ("y",), FC.SG), 2): True,
        (ObjectReference("LD", "A1", ("z",), FC.SP), 0): Timestamp(5, 6),
        (ObjectReference("LD", "A1", ("o",), FC.SP), 0): b"\x01\x02",
    }
    store.set_many(values)
    assert dict(Store(path).items()) == values
    for content in (b"", b"{", b"[]", b'{"0 nonsense": 1}', b'{"0 LD/A.x[SP]": null}'):
        path.write_bytes(content)
        assert dict(Store(path).items()) == {}


def test_a_store_that_cannot_write_remembers_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "values.json")
    reference = ObjectReference("LD", "A1", ("x",), FC.SP)
    with pytest.raises(OSError):
        store.set(reference, 1.0)
    assert store.get(reference) is None


def test_evses_beyond_the_devices_are_counted_not_forgotten(tmp_path: Path) -> None:
    assignment = Assignment(("EVSE1", "EVSE2"), {"EVSE2": "z/9"}, tmp_path / "evses.json")
    assignment.admit({"a/1", "b/1"})
    assert assignment.device("a/1") == "EVSE1"
    assert assignment.device("b/1") is None
    assert assignment.evse("EVSE2") == "z/9"
    assert assignment.unassigned == {"b/1"}
