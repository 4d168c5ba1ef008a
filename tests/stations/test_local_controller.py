"""The local controller's other duties: authorisation, pass-through, DER, memory, device model."""

import asyncio
import json

import orjson
import pytest

from agent.errors import AlarmCode, ConfigurationError
from agent.messages import StationAnswer, StationCall
from agent.ocpp import Version
from agent.ocpp.der import DerType
from agent.vehicles.stations.authorization import Authorizer, load_local_list
from agent.vehicles.stations.capability import StationModels, default_folder, load_models
from agent.vehicles.stations.dialect import Policy
from agent.vehicles.stations.evse import EvLimits
from agent.vehicles.stations.memory import Memory
from agent.vehicles.stations.station import Station

TOKEN = {"idToken": "ABC", "type": "ISO14443"}


def test_the_local_list_is_sent_and_decides(site, messages):
    async def scenario():
        authorizer = Authorizer("local", {"abc": "Accepted", "bad": "Blocked"})
        async with site(policy=Policy(authorizer=authorizer)) as here:
            peer = await here.connect()
            await peer.call("BootNotification", messages["boot_2"])
            sent = (await peer.expect("SendLocalList", {"status": "Accepted"}))[3]
            assert {e["idToken"]["idToken"] for e in sent["localAuthorizationList"]} == {
                "abc",
                "bad",
            }
            for token, status in (("aBc", "Accepted"), ("BAD", "Blocked"), ("x", "Invalid")):
                answer = await peer.call("Authorize", {"idToken": {**TOKEN, "idToken": token}})
                assert answer["idTokenInfo"]["status"] == status
            event = messages["transaction"]("Started", idToken={**TOKEN, "idToken": "bad"})
            answer = await peer.call("TransactionEvent", event)
            assert answer["idTokenInfo"]["status"] == "Blocked"

    asyncio.run(scenario())


def test_a_1_6_transaction_of_an_unknown_tag_is_not_ours_to_order(site, messages):
    async def scenario():
        authorizer = Authorizer("local", {"good": "Accepted"})
        async with site(policy=Policy(authorizer=authorizer)) as here:
            peer = await here.connect(version=Version.V16)
            await peer.call("BootNotification", messages["boot_16"])
            await peer.expect("SendLocalList", {"status": "Accepted"})
            start = {"connectorId": 1, "meterStart": 0, "timestamp": messages["now"]()}
            bad = await peer.call("StartTransaction", {**start, "idTag": "bad"})
            assert bad["idTagInfo"]["status"] == "Invalid"
            assert not here.status().plugged
            good = await peer.call("StartTransaction", {**start, "idTag": "GOOD"})
            assert good["idTagInfo"]["status"] == "Accepted"
            assert good["transactionId"] > bad["transactionId"]
            assert here.status().plugged
            stop = {"transactionId": good["transactionId"], "meterStop": 1}
            await peer.call("StopTransaction", {**stop, "timestamp": messages["now"]()})
            assert not here.status().plugged

    asyncio.run(scenario())


def test_the_csms_decides_when_it_is_asked(site):
    async def scenario():
        authorizer = Authorizer("upstream")
        async with site(policy=Policy(authorizer=authorizer)) as here:
            peer = await here.connect()
            asked = asyncio.create_task(peer.call("Authorize", {"idToken": TOKEN}))
            question = await here.until(lambda: here.last(StationCall, action="Authorize"))
            assert question.from_station
            assert question.protocol == "ocpp2.1"
            assert json.loads(question.payload) == {"idToken": TOKEN}
            payload = orjson.dumps({"idTokenInfo": {"status": "Accepted"}})
            here.fleet.answer(StationAnswer(question.request_id, "CS1", payload))
            assert (await asked)["idTokenInfo"]["status"] == "Accepted"
            assert authorizer.decide("abc") == "Accepted"

    asyncio.run(scenario())


def test_the_list_decides_when_the_csms_does_not(site, monkeypatch):
    monkeypatch.setattr("agent.vehicles.stations.passage.ANSWER_S", 0.2)

    async def scenario():
        async with site(policy=Policy(authorizer=Authorizer("upstream"))) as here:
            for version in (Version.V201, Version.V16):
                peer = await here.connect(version.name, version)
                wish = {"idToken": TOKEN} if version.is_2x else {"idTag": "ABC"}
                answer = await peer.call("Authorize", wish)
                assert next(iter(answer.values()))["status"] == "Invalid"

    asyncio.run(scenario())


@pytest.mark.parametrize("payload", [b"garbage", b"[]", b"{}", b'{"idTokenInfo":{"status":7}}'])
def test_an_answer_of_the_csms_that_cannot_be_used_is_none(site, payload):
    async def scenario():
        async with site(policy=Policy(authorizer=Authorizer("upstream"))) as here:
            peer = await here.connect()
            asked = asyncio.create_task(peer.ask("Authorize", {"idToken": TOKEN}))
            question = await here.until(lambda: here.last(StationCall, action="Authorize"))
            here.fleet.answer(StationAnswer(question.request_id, "CS1", payload))
            answer = await asked
            assert answer[2]["idTokenInfo"]["status"] == "Invalid"

    asyncio.run(scenario())


def call(action, payload, request_id="r1"):
    return StationCall(request_id, "CS1", action, orjson.dumps(payload))


GET_LOG = {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": "x"}}
FIRMWARE = {"location": "x", "retrieveDateTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("action", "payload", "status"),
    [
        ("GetLog", GET_LOG, "Accepted"),
        ("UpdateFirmware", {"requestId": 1, "firmware": FIRMWARE}, "Accepted"),
        ("SetMonitoringLevel", {"severity": 5}, "Accepted"),
        ("GetInstalledCertificateIds", {}, "NotFound"),
        ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, "Accepted"),
    ],
)
def test_calls_from_above_pass_through_to_the_station(site, action, payload, status):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            here.fleet.call(call(action, payload))
            message = await peer.expect(action, {"status": status})
            assert message[3] == payload
            answer = await here.until(lambda: here.last(StationAnswer, request_id="r1"))
            assert (json.loads(answer.payload), answer.error) == ({"status": status}, "")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "action",
    ["SetChargingProfile", "ClearChargingProfile", "UpdateDynamicSchedule", "AFRRSignal",
     "RequestStartTransaction", "RemoteStartTransaction", "NoSuchAction"],
)  # fmt: skip
def test_nothing_that_orders_power_passes_through(site, action):
    async def scenario():
        async with site() as here:
            await here.charging()
            here.fleet.call(call(action, {}))
            answer = here.last(StationAnswer, request_id="r1")
            assert "does not pass through" in answer.error

    asyncio.run(scenario())


def test_a_call_from_above_that_is_wrong_or_meets_nobody_is_answered(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            here.fleet.call(call("GetLog", {"requestId": 1}))
            assert "Occurrence" in here.last(StationAnswer, request_id="r1").error
            here.fleet.call(StationCall("r2", "CS1", "GetLog", b"{nonsense"))
            assert here.last(StationAnswer, request_id="r2").error
            await peer.close()
            await here.until(lambda: not here.fleet.connections)
            here.fleet.call(call("ClearCache", {}, "r3"))
            assert "not connected" in here.last(StationAnswer, request_id="r3").error
            told = len(here.told)
            here.fleet.call(StationCall("r4", "ELSEWHERE", "ClearCache", b"{}"))
            assert len(here.told) == told

    asyncio.run(scenario())


def test_what_stations_report_is_shown_above(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            event = {"type": "TamperDetectionActivated", "timestamp": messages["now"]()}
            await peer.call("SecurityEventNotification", event)
            await peer.call("LogStatusNotification", {"status": "Uploaded", "requestId": 1})
            shown = [m.action for m in here.told if isinstance(m, StationCall)]
            assert shown == ["SecurityEventNotification", "LogStatusNotification"]

    asyncio.run(scenario())


DROOP = {
    "isDefault": True,
    "controlId": "droop",
    "controlType": "FreqDroop",
    "freqDroop": {
        "priority": 1,
        "overFreq": 50.2,
        "underFreq": 49.8,
        "overDroop": 5.0,
        "underDroop": 5.0,
        "responseTime": 1.0,
    },
}


def test_der_controls_pass_and_are_mirrored(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            register = here.fleet.stations["CS1"].der
            here.fleet.call(call("SetDERControl", DROOP))
            message = await peer.expect("SetDERControl", {"status": "Accepted"})
            assert message[3] == DROOP
            await here.until(lambda: len(register))
            assert register.effective(DerType.FREQ_DROOP, 0.0).control_id == "droop"
            notice = {"controlId": "droop", "started": True, "timestamp": messages["now"]()}
            await peer.call("NotifyDERStartStop", notice)
            assert register.active(DerType.FREQ_DROOP) == "droop"
            here.fleet.call(call("SetDERControl", {**DROOP, "controlId": "refused"}, "r2"))
            await peer.expect("SetDERControl", {"status": "Rejected"})
            await here.until(lambda: here.last(StationAnswer, request_id="r2"))
            assert len(register) == 1
            here.fleet.call(
                call("ClearDERControl", {"isDefault": True, "controlId": "droop"}, "r3")
            )
            await peer.expect("ClearDERControl", {"status": "Accepted"})
            await here.until(lambda: not len(register))
            item = {
                "id": "own",
                "isDefault": True,
                "isSuperseded": False,
                "freqDroop": DROOP["freqDroop"],
            }
            await peer.call("ReportDERControl", {"requestId": 1, "freqDroop": [item]})
            assert [control.control_id for control in register] == ["own"]

    asyncio.run(scenario())


def test_a_der_control_that_makes_no_sense_is_not_sent(site):
    async def scenario():
        async with site() as here:
            await here.charging()
            here.fleet.call(call("SetDERControl", {**DROOP, "controlType": "VoltVar"}))
            assert "curve" in here.last(StationAnswer, request_id="r1").error

    asyncio.run(scenario())


def test_a_der_alarm_becomes_an_alarm_of_the_gateway(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            alarm = {
                "controlType": "LFMustTrip",
                "gridEventFault": "UnderFrequency",
                "timestamp": "2026-01-01T00:00:00Z",
                "extraInfo": "47.4 Hz",
            }
            await peer.call("NotifyDERAlarm", alarm)
            [raised] = here.alarms()
            assert (raised.code, raised.active) == (AlarmCode.RIDE_THROUGH, True)
            assert raised.text == "CS1: LFMustTrip: UnderFrequency (47.4 Hz)"
            assert raised.since_utc_s == 1_767_225_600.0
            await peer.call("NotifyDERAlarm", {**alarm, "alarmEnded": True})
            assert [each.active for each in here.alarms()] == [True, False]
            assert here.alarms()[1].key == raised.key

    asyncio.run(scenario())


def test_actions_that_are_known_but_not_ours_are_not_supported(site):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            settlement = {"pspRef": "x", "status": "Settled", "settlementAmount": 1}
            settlement["settlementTime"] = "2026-01-01T00:00:00Z"
            answer = await peer.ask("NotifySettlement", settlement)
            assert answer[:3] == [4, "p1", "NotSupported"]
            assert (await peer.ask("NoSuchAction", {}))[2] == "NotImplemented"

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [0, -1, 65, 10**9])
def test_no_station_makes_evses_without_end(site, messages, number):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            event = {**messages["transaction"]("Started"), "evse": {"id": number}}
            answer = await peer.ask("TransactionEvent", event)
            assert answer[2] in {"PropertyConstraintViolation", "TypeConstraintViolation"}

    asyncio.run(scenario())


def test_what_a_vehicle_can_do_survives_a_restart_of_the_worker(site, tmp_path):
    models = StationModels()

    async def scenario():
        memory = Memory(tmp_path / "state" / "stations.json")
        async with site() as here:
            await here.charging("CS1")
            await here.charging("CS2", Version.V16)
            memory.save(here.fleet.stations)
        async with site() as here:
            here.fleet.stations |= Memory(tmp_path / "state" / "stations.json").load(models)
            peer = await here.connect("CS1")
            status = here.status()
            assert (status.online, status.plugged) == (True, True)
            assert status.discharge_max_w == 10_000.0
            await here.order(1000.0)
            await peer.expect("SetChargingProfile", {"status": "Accepted"})
            assert (await here.result()).accepted
            assert here.fleet.stations["CS2"].evses[1].charging

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["", "{", '{"format":99,"stations":[]}', '{"format":1}', "[1]"])
def test_a_damaged_memory_is_no_memory(tmp_path, text):
    path = tmp_path / "stations.json"
    path.write_text(text)
    assert Memory(path).load(StationModels()) == {}


def test_the_shipped_tables_load_and_the_most_specific_one_is_found():
    models = load_models(default_folder())
    assert models.find("Simulated", "V2X-11", "1", "ocpp2.1").name == "simulated-v2x"
    assert models.find("SIMULATED", "ac-11", "1", "ocpp1.6").name == "simulated-ac"
    assert models.find("Nobody", "X", "", "ocpp2.0.1").name == "ocpp-2.0.1"
    assert models.find("Example", "AC1-7", "", "ocpp1.6").unit == "A"
    assert models.find(protocol="ocpp9").name == "default"
    assert not models.find(protocol="ocpp1.6").discharges


def test_wrong_tables_are_all_reported(tmp_path):
    (tmp_path / "a.toml").write_text("[station]\nunit = 'kW'\nphasse = 3\n[other]\n")
    (tmp_path / "b.toml").write_text("[station\n")
    with pytest.raises(ConfigurationError) as caught:
        load_models(tmp_path)
    text = str(caught.value)
    assert len(caught.value.findings) == 4
    for part in ("a.toml: station.unit", "did you mean phases", "a.toml: other", "b.toml"):
        assert part in text


def test_the_local_list_file_reports_every_wrong_line(tmp_path):
    path = tmp_path / "list"
    path.write_text("# tokens\nABC\nDEF Blocked # lost\nGHI Maybe\nJ K L\n")
    with pytest.raises(ConfigurationError) as caught:
        load_local_list(path)
    assert [finding.where[-2:] for finding in caught.value.findings] == [":4", ":5"]
    path.write_text("ABC\nDEF Blocked\n")
    assert load_local_list(path) == {"abc": "Accepted", "def": "Blocked"}


def test_a_station_that_runs_already_is_asked_who_it_is(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            await peer.call("TransactionEvent", messages["transaction"]("Updated"))
            message = await peer.expect("TriggerMessage", {"status": "Accepted"})
            assert message[3] == {"requestedMessage": "BootNotification"}
            await peer.call("BootNotification", messages["boot_2"])
            assert here.status().vendor == "v"
            assert here.status().plugged

    asyncio.run(scenario())


def test_a_station_is_recalled_from_the_process_that_saw_it_last(tmp_path):
    """Of the files of three processes the newest one counts, and none older than our own."""
    for name, capacity_wh, seen_utc_s in (("stations", 1.0, 100.0), ("stations@2", 2.0, 200.0)):
        station = Station("CS1", Version.V21, booted=True, seen_utc_s=seen_utc_s)
        station.evse(1).need(EvLimits(capacity_wh=capacity_wh, bidirectional=True))
        Memory(tmp_path / f"{name}.stations.json").save({"CS1": station})
    memory, models = Memory(tmp_path / "stations@3.stations.json"), StationModels()
    newest = memory.recall("CS1", 0.0, models)
    assert newest is not None
    assert newest.evses[1].ev.capacity_wh == 2.0
    assert memory.recall("CS1", 200.0, models) is None
    assert memory.recall("CS2", 0.0, models) is None
