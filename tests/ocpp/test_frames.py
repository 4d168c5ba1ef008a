"""OCPP-J frames: golden bytes both ways, envelopes that are wrong, limits before parsing."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.ocpp import frames
from agent.ocpp.frames import (
    Call,
    CallErrorFrame,
    CallResult,
    FrameError,
    Send,
    UnknownFrame,
)
from agent.ocpp.limits import Limits, parse

GOLDEN = [
    (b'[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
    (
        b'[2,"a-2","SetChargingProfile",{"setpoint_L2":-1.5,"fixedPFInject":{"priority":0}}]',
        Call("a-2", "SetChargingProfile", {"setpoint_L2": -1.5, "fixedPFInject": {"priority": 0}}),
    ),
    (b'[3,"1",{"status":"Accepted"}]', CallResult("1", {"status": "Accepted"})),
    (
        b'[4,"1","NotSupported","no","{}"]'.replace(b'"{}"', b"{}"),
        CallErrorFrame("1", "NotSupported", "no"),
    ),
    (
        b'[5,"1","FormatViolation","bad",{"k":1}]',
        CallErrorFrame("1", "FormatViolation", "bad", {"k": 1}, of_result=True),
    ),
    (
        b'[6,"9","NotifyPeriodicEventStream",{"id":1}]',
        Send("9", "NotifyPeriodicEventStream", {"id": 1}),
    ),
]


@pytest.mark.parametrize(("data", "frame"), GOLDEN)
def test_golden_bytes_both_ways(data, frame):
    assert frames.decode(data) == frame
    assert frames.encode(frame) == data


def test_unknown_message_type_keeps_its_id():
    assert frames.decode(b'[7,"x",1,2,3]') == UnknownFrame("x", 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"[2]",
        b"null",
        b'["2","1","Heartbeat",{}]',
        b'[true,"1","Heartbeat",{}]',
        b'[2,1,"Heartbeat",{}]',
        b'[2,"","Heartbeat",{}]',
        b'[2,"' + b"x" * 37 + b'","Heartbeat",{}]',
        b"\xff\xfe",
        b'[2,"1","Heartbeat",{}',
    ],
)
def test_a_broken_envelope_has_no_message_id(data):
    with pytest.raises(FrameError) as caught:
        frames.decode(data)
    assert caught.value.message_id == frames.NO_ID


@pytest.mark.parametrize(
    "data", [b'[2,"1","Heartbeat"]', b'[2,"1",{},{}]', b'[3,"1",[]]', b'[4,"1"]', b'[6,"1","A",1]']
)
def test_wrong_parts_are_blamed_on_their_message(data):
    with pytest.raises(FrameError) as caught:
        frames.decode(data)
    assert caught.value.message_id == "1"


@pytest.mark.parametrize("tail", [b"", b',""', b',"",{}', b",null,null", b',"x",[]'])
def test_call_errors_of_careless_stations_are_read(tail):
    frame = frames.decode(b'[4,"1","InternalError"' + tail + b"]")
    assert isinstance(frame, CallErrorFrame)
    assert frame.code == "InternalError"


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
def test_numbers_that_are_not_finite_are_refused(number):
    with pytest.raises(DecodeError):
        frames.decode(b'[2,"1","A",{"limit":' + number + b"}]")


def test_depth_is_counted_outside_strings_only():
    limits = Limits(depth=8)
    text = orjson.dumps(["[[[[[[[[[[[[{{{{{{" * 3, '\\"[[[[[[[[[[[["'])
    assert parse(text, limits) == orjson.loads(text)
    wide = b"[" + b",".join([b"[1]"] * 100) + b"]"
    assert len(parse(wide, limits)) == 100
    with pytest.raises(DecodeError, match="deeper"):
        parse(b"[" * 9 + b"]" * 9, limits)


def test_size_and_digits_are_limited():
    with pytest.raises(DecodeError, match="bytes"):
        parse(b" " * 100, Limits(size=99))
    with pytest.raises(DecodeError, match="number longer"):
        parse(b"[" + b"1" * 5000 + b"]")
    assert parse(b'["' + b"1" * 5000 + b'"]') == ["1" * 5000]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.text(min_size=1, max_size=36),
    st.text(max_size=50),
    st.dictionaries(st.text(), json_values, max_size=5),
)
def test_what_is_written_is_read_again(message_id, action, payload):
    for frame in (Call(message_id, action, payload), Send(message_id, action, payload)):
        assert frames.decode(frames.encode(frame), Limits(depth=1000)) == frame


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_frame_error(data):
    try:
        frame = frames.decode(data)
    except FrameError:
        return
    assert isinstance(frame, Call | CallResult | CallErrorFrame | Send | UnknownFrame)


def test_a_value_that_json_cannot_say_is_refused():
    with pytest.raises(DecodeError):
        frames.encode(Call("1", "A", {"x": object()}))
    assert math.isfinite(orjson.loads(frames.encode(Call("1", "A", {"x": 1.5})))[3]["x"])
