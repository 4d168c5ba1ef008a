"""One conversation without I/O: one call at a time, timeouts, superseding, answers to nonsense."""

import orjson
import pytest

from agent.ocpp import (
    Answered,
    CallError,
    CallReceived,
    ErrorCode,
    Failed,
    SendReceived,
    Session,
    Version,
)

BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
GET = {"getVariableData": [{"component": {"name": "c"}, "variable": {"name": "v"}}]}


def session(version=Version.V21, **options):
    return Session(version, "t-", **options)


def written(session, now_s=0.0):
    outgoing, _ = session.take_outgoing(now_s)
    return [orjson.loads(item.data) for item in outgoing]


def receive(session, message, now_s=0.0):
    data = message if isinstance(message, bytes) else orjson.dumps(message)
    return session.receive(data, now_s)


def test_a_call_is_answered():
    ours = session()
    [event] = receive(ours, [2, "1", "BootNotification", BOOT])
    assert event == CallReceived("1", "BootNotification", BOOT)
    ours.answer("1", {"currentTime": "2026-01-01T00:00:00Z", "interval": 1, "status": "Accepted"})
    [[kind, message_id, payload]] = written(ours)
    assert (kind, message_id, payload["status"]) == (3, "1", "Accepted")


def test_an_answer_of_ours_that_breaks_the_schema_becomes_an_internal_error():
    ours = session()
    receive(ours, [2, "1", "BootNotification", BOOT])
    ours.answer("1", {"status": "Accepted"})
    [[kind, _, code, *_]] = written(ours)
    assert (kind, code) == (4, "InternalError")


def test_an_answer_is_given_once():
    ours = session()
    receive(ours, [2, "1", "Heartbeat", {}])
    for _ in range(2):
        ours.answer("1", {"currentTime": "2026-01-01T00:00:00Z"})
    ours.refuse("1", CallError(ErrorCode.INTERNAL_ERROR))
    assert len(written(ours)) == 1


def test_one_call_is_outstanding_and_urgent_ones_go_first():
    ours = session()
    ours.call("GetVariables", GET, tag="a")
    [[_, first, *_]] = written(ours)
    ours.call("GetVariables", GET, tag="b")
    ours.call("ClearCache", {}, tag="c", urgent=True)
    assert written(ours) == []
    events = receive(ours, [4, first, "InternalError", "", {}])
    assert isinstance(events[0], Failed)
    assert [message[2] for message in written(ours)] == ["ClearCache"]


def test_a_newer_call_with_the_same_key_replaces_the_waiting_one():
    ours = session()
    ours.call("ClearCache", {}, tag=0)
    written(ours)
    for tag in (1, 2, 3):
        ours.call("ClearCache", {}, tag=tag, key="order")
    _, events = ours.take_outgoing(0.0)
    assert [(event.code, event.request.tag) for event in events] == [
        ("Superseded", 1),
        ("Superseded", 2),
    ]


def test_a_call_in_flight_is_never_superseded():
    ours = session()
    ours.call("ClearCache", {}, tag=1, key="order")
    [[_, message_id, *_]] = written(ours)
    ours.call("ClearCache", {}, tag=2, key="order")
    [event] = receive(ours, [3, message_id, {"status": "Accepted"}])
    assert isinstance(event, Answered)
    assert event.request.tag == 1


def test_a_call_times_out_and_the_next_one_goes():
    ours = session(call_timeout_s=5.0)
    ours.call("ClearCache", {}, tag="slow")
    ours.call("ClearCache", {}, tag="next")
    written(ours, 10.0)
    assert ours.deadline_s == 15.0
    assert ours.expire(14.9) == []
    [event] = ours.expire(15.0)
    assert (event.code, event.request.tag) == ("Timeout", "slow")
    assert len(written(ours, 15.0)) == 1


def test_a_late_answer_is_nobodys():
    ours = session(call_timeout_s=5.0)
    ours.call("ClearCache", {})
    [[_, message_id, *_]] = written(ours)
    ours.expire(6.0)
    assert receive(ours, [3, message_id, {"status": "Accepted"}], 7.0) == []
    assert ours.counters.unexpected == 1


def test_a_call_that_waited_too_long_is_not_sent():
    ours = session()
    ours.call("ClearCache", {}, tag="first")
    [[_, message_id, *_]] = written(ours)
    ours.call("ClearCache", {}, tag="old", valid_until_s=1.0)
    events = receive(ours, [3, message_id, {"status": "Accepted"}], 2.0)
    assert [(type(event), event.request.tag) for event in events] == [
        (Answered, "first"),
        (Failed, "old"),
    ]
    assert written(ours, 2.0) == []


def test_the_queue_is_bounded():
    ours = session()
    with pytest.raises(CallError, match="too many"):
        for _ in range(1000):
            ours.call("ClearCache", {})


def test_closing_fails_everything_that_waits():
    ours = session()
    ours.call("ClearCache", {}, tag=1)
    written(ours)
    ours.call("ClearCache", {}, tag=2)
    assert [(event.code, event.request.tag) for event in ours.close()] == [
        ("Closed", 1),
        ("Closed", 2),
    ]
    assert ours.idle


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
@pytest.mark.parametrize("data", [b"garbage", b"{}", b'[2,5,"Heartbeat",{}]', b"[" * 99])
def test_2x_answers_what_it_cannot_read_with_an_rpc_framework_error(version, data):
    ours = session(version)
    assert receive(ours, data) == []
    [[kind, message_id, code, *_]] = written(ours)
    assert (kind, message_id, code) == (4, "-1", "RpcFrameworkError")


def test_1_6_ignores_what_it_cannot_read():
    ours = session(Version.V16)
    assert receive(ours, b"garbage") == []
    assert receive(ours, [9, "1", {}]) == []
    assert written(ours) == []
    assert ours.counters.malformed == 1


def test_2x_says_which_message_types_it_does_not_support():
    ours = session(Version.V201)
    receive(ours, [9, "77", {}])
    [[kind, message_id, code, *_]] = written(ours)
    assert (kind, message_id, code) == (4, "77", "MessageTypeNotSupported")


@pytest.mark.parametrize(
    "message", [[3, "1"], [3, "1", []], [4, "1"], [5, "1"], [3, "x", {}], [4, "x", "E", "", {}]]
)
def test_no_error_is_answered_to_an_answer(message):
    ours = session()
    receive(ours, message)
    assert written(ours) == []


def test_2_1_tells_the_peer_that_its_result_is_wrong():
    ours = session(Version.V21)
    ours.call("ClearCache", {})
    [[_, message_id, *_]] = written(ours)
    [event] = receive(ours, [3, message_id, {"status": 7}])
    assert isinstance(event, Failed)
    [[kind, about, code, *_]] = written(ours)
    assert (kind, about, code) == (5, message_id, "TypeConstraintViolation")


def test_2_0_1_does_not_know_callresulterror():
    ours = session(Version.V201)
    ours.call("ClearCache", {})
    [[_, message_id, *_]] = written(ours)
    receive(ours, [3, message_id, {"status": 7}])
    assert written(ours) == []


def test_send_has_no_answer():
    data = {
        "id": 1,
        "pending": 0,
        "basetime": "2026-01-01T00:00:00Z",
        "data": [{"t": 0, "v": "50.01"}],
    }
    ours = session()
    assert receive(ours, [6, "5", "NotifyPeriodicEventStream", data]) == [
        SendReceived("NotifyPeriodicEventStream", data)
    ]
    assert receive(ours, [6, "5", "NotifyPeriodicEventStream", {}]) == []
    assert receive(ours, [6, "5", "Heartbeat", {}]) == []
    assert written(ours) == []
    ours.send("NotifyPeriodicEventStream", data)
    [[kind, _, action, payload]] = written(ours)
    assert (kind, action, payload) == (6, "NotifyPeriodicEventStream", data)
    with pytest.raises(CallError):
        ours.send("Heartbeat", {})


def test_a_peer_that_calls_and_calls_is_refused_at_some_point():
    ours = session()
    for number in range(20):
        receive(ours, [2, str(number), "Heartbeat", {}])
    codes = [message[2] for message in written(ours) if message[0] == 4]
    assert len(codes) == 12
    assert set(codes) == {"RpcFrameworkError"}


def test_unknown_and_malformed_actions_are_answered_by_their_code():
    ours = session()
    receive(ours, [2, "1", "NoSuchAction", {}])
    receive(ours, [2, "2", "BootNotification", {"reason": "PowerUp"}])
    assert [(message[1], message[2]) for message in written(ours)] == [
        ("1", "NotImplemented"),
        ("2", "OccurrenceConstraintViolation"),
    ]


def test_a_payload_of_ours_is_checked_before_it_is_queued():
    with pytest.raises(CallError):
        session().call("GetVariables", {})
