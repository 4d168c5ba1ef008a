"""Events: when they begin and end, what is recorded, how long it is kept."""

from collections import deque
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agent.comtrade import AnalogChannel, Record, configuration, data
from agent.messages import Measurement, Validity
from agent.processbus.events.detector import Cause, EventDetector, EventRules
from agent.processbus.events.recorder import EventRecorder
from agent.processbus.events.store import EventStore, EventSummary, Retention, keep, list_events
from tests.processbus.conftest import START_S, Player, Unit, join

RULES = EventRules(50.0, 230.0)
CALM = Measurement("MU01", 0.0, 50.0, 0.0, 230.0, Validity.GOOD, 0.0, 0.0)


def reports(*values, step_s=0.02):
    return [
        msgspec.structs.replace(CALM, t_utc_s=n * step_s, **value) for n, value in enumerate(values)
    ]


def ends(sequence):
    detector = EventDetector(RULES)
    return [r.t_utc_s for r in sequence if detector.see(r)], detector


@pytest.mark.parametrize(
    ("report", "cause"),
    [
        ({}, None),
        ({"f_hz": 49.84}, Cause.FREQUENCY),
        ({"f_hz": 50.16}, Cause.FREQUENCY),
        ({"rocof_trip_hz_s": -0.6}, Cause.ROCOF),
        ({"v1_v": 200.0}, Cause.VOLTAGE),
        ({"quality": Validity.HELD}, Cause.STEP),
        ({"quality": Validity.INVALID, "f_hz": 10.0}, None),
    ],
)
def test_what_is_not_normal_begins_an_event(report, cause):
    _, detector = ends(reports({}, report))
    assert detector.cause is cause


def test_an_event_ends_half_a_second_after_the_last_disturbance():
    low = [{"f_hz": 49.8}] * 10
    ended, _ = ends(reports({}, *low, *[{}] * 20, *low, *[{}] * 60))
    assert ended == [pytest.approx(0.02 * 40 + 0.5)]


def test_a_state_that_lasts_is_one_event_of_ten_seconds():
    ended, detector = ends(reports({}, *[{"f_hz": 49.8}] * 3000))
    assert ended == [pytest.approx(10.02)]
    assert detector.cause is None


class Kept:
    def __init__(self):
        self.records = []

    def put(self, record, summary):
        self.records.append((record, summary))


def test_a_sag_is_recorded_with_its_beginning(filters):
    store = Kept()
    player = Player(filters)
    player.pipeline.watcher = EventRecorder(RULES, store, "Station, north").see
    parts = [Unit().frames(0, 8000), Unit(v_v=120.0).frames(8000, 9000), Unit().frames(9000, 16000)]
    whole = join(*parts)
    keep_frame = np.ones(len(whole), dtype=bool)
    keep_frame[8500:8510] = False
    player.play(whole.select(keep_frame))
    ((record, summary),) = store.records
    assert summary.stream == "MU01"
    assert summary.cause in (Cause.VOLTAGE, Cause.STEP)
    assert summary.v_min_v < 150
    assert record.begin_utc_s < START_S + 1.95
    assert record.values.shape[0] == 9
    first = round((record.begin_utc_s - START_S) * 4000)
    expected = Unit().values(np.arange(first, 8000))[:, 4] / 100
    assert record.values[0, : 8000 - first] == pytest.approx(expected, abs=0.01)
    sagged = record.values[0, 8000 - first : 8500 - first]
    assert np.abs(sagged).max() == pytest.approx(120 * np.sqrt(2), rel=0.01)
    assert np.isnan(record.values[0, 8500 - first : 8510 - first]).all()
    frequency = record.values[6]
    assert np.nanmax(np.abs(frequency - 50)) < 0.5


RECORD = Record(
    station="V2G1",
    device="MU01",
    nominal_hz=50,
    rate_hz=4000,
    begin_utc_s=1_700_000_000.123456,
    trigger_utc_s=1_700_000_000.5,
    channels=(AnalogChannel("VA", "A", "V"), AnalogChannel("f", "", "Hz")),
    values=np.array([[1.5, -2.5, np.nan], [50.0, 49.9, 49.8]], dtype=np.float32),
)


def test_the_configuration_is_as_the_standard_writes_it():
    assert configuration(RECORD).split("\r\n") == [
        "V2G1,MU01,2013",
        "2,2A,0D",
        "1,VA,A,,V,1,0,0,-2.5,1.5,1,1,P",
        "2,f,,,Hz,1,0,0,49.8,50,1,1,P",
        "50",
        "1",
        "4000,3",
        "14/11/2023,22:13:20.123456",
        "14/11/2023,22:13:20.500000",
        "FLOAT32",
        "1",
        "0,0",
        "0,0",
        "",
    ]


def test_the_data_are_number_time_and_values():
    rows = np.frombuffer(data(RECORD), dtype="<u4").reshape(3, 4)
    assert rows[:, 0].tolist() == [1, 2, 3]
    assert rows[:, 1].tolist() == [0, 250, 500]
    assert rows[:, 3].view("<f4").tolist() == pytest.approx([50.0, 49.9, 49.8])


@pytest.mark.peer
def test_another_reader_reads_the_same(tmp_path):
    comtrade = pytest.importorskip("open61850.comtrade")
    (tmp_path / "x.cfg").write_text(configuration(RECORD), newline="")
    (tmp_path / "x.dat").write_bytes(data(RECORD))
    read = comtrade.load_comtrade(tmp_path / "x.cfg")
    assert [channel.ch_id for channel in read.analog_channels] == ["VA", "f"]
    assert list(read.analog(1)) == pytest.approx([50.0, 49.9, 49.8], abs=1e-4)
    assert list(read.analog(0))[:2] == [1.5, -2.5]


def summary(name, t_utc_s):
    return EventSummary(name, "MU01", t_utc_s, 1.0, "voltage", 50, 50, 100, 230)


def stored(folder, *times):
    store = EventStore(folder, Retention.of(100, 36500))
    for t_utc_s in times:
        store.put(replace(RECORD, begin_utc_s=t_utc_s), summary(f"e{t_utc_s:.0f}", t_utc_s))
    store.close()
    return store


def test_events_are_listed_newest_first_with_their_size(tmp_path):
    assert stored(tmp_path, 2_000_000, 1_000_000, 3_000_000).written == 3
    (tmp_path / "strange.json").write_text("{}")
    found = list_events(tmp_path)
    assert [event.name for event in found] == ["e3000000", "e2000000", "e1000000"]
    assert all(event.size > 200 for event in found)
    assert all(a.t_utc_s > b.t_utc_s for a, b in pairwise(found))


def test_the_oldest_events_make_room(tmp_path):
    stored(tmp_path, 1_000_000, 2_000_000, 3_000_000)
    events = deque(reversed(list_events(tmp_path)))
    size = events[0].size
    assert keep(tmp_path, events, Retention(octets=2.5 * size, age_s=1e9), 3_000_000) == 1
    assert [event.name for event in list_events(tmp_path)] == ["e3000000", "e2000000"]
    assert keep(tmp_path, events, Retention(octets=1e9, age_s=10.0), 3_000_005) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_what_an_earlier_process_recorded_makes_room_too(tmp_path):
    stored(tmp_path, 1_000_000, 2_000_000)
    size = list_events(tmp_path)[0].size
    store = EventStore(tmp_path, Retention(octets=2.5 * size, age_s=1e12))
    for t_utc_s in (3_000_000, 4_000_000):
        store.put(replace(RECORD, begin_utc_s=t_utc_s), summary(f"e{t_utc_s}", t_utc_s))
    store.close()
    assert [event.name for event in list_events(tmp_path)] == ["e4000000", "e3000000"]


def test_a_folder_that_cannot_be_written_costs_the_record_only(tmp_path):
    (tmp_path / "file").write_text("")
    store = stored(tmp_path / "file", 1_000_000)
    assert (store.written, store.lost) == (0, 1)
