"""Vehicles' stays as OCPI sessions: their energy, their end, their pages, and a restart."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpi_types import v2_2_1 as peer

from agent.config.utility import Ocpi
from agent.messages import EvseView
from agent.utility.ocpi import sessions as module
from agent.utility.ocpi.sessions import Sessions, _counted
from tests.utility.ocpi.conftest import running, started, status

NOW = 1_800_000_000.0


def view(**changes):
    return EvseView(status(**changes), 0.0, "", 0.0, 0.0)


class Clock:
    """Sessions whose fleet is told second by second."""

    def __init__(self, folder):
        self.sessions = Sessions(Ocpi(), "LOC", folder / "sessions.json")
        self.now = 0.0

    def pass_(self, seconds, **changes):
        for _ in range(seconds):
            self.now += 1.0
            self.sessions.update([view(**changes)], now_s=self.now, now_utc_s=NOW + self.now)

    @property
    def shown(self):
        return [self.sessions.document(stay) for stay in self.sessions]


def test_a_stay_begins_with_the_plug_and_ends_without_it(tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(5, plugged=False)
    assert clock.shown == []
    clock.pass_(1, plugged=True, p_w=0.0)
    (session,) = clock.shown
    assert (session.status, session.end_date_time, session.kwh) == ("ACTIVE", None, 0.0)
    assert session.start_date_time == session.last_updated == "2027-01-15T08:00:06.000Z"
    clock.pass_(10, plugged=False)
    (session,) = clock.shown
    assert (session.status, session.end_date_time) == ("COMPLETED", "2027-01-15T08:00:07.000Z")
    clock.pass_(1, plugged=True)
    assert [s.status for s in clock.shown] == ["COMPLETED", "ACTIVE"]
    assert len({s.id for s in clock.shown}) == 2


def test_energy_is_counted_both_ways_and_only_charging_is_kwh(tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(1, p_w=0.0)
    clock.pass_(1800, p_w=-7200.0)
    clock.pass_(600, p_w=3600.0)
    clock.pass_(1, plugged=False)
    (session,) = clock.shown
    assert session.kwh == pytest.approx(3.6, abs=0.003)
    dimensions = {d.type: d.volume for d in session.charging_periods[0].dimensions}
    assert dimensions == {
        "ENERGY_IMPORT": session.kwh,
        "ENERGY_EXPORT": pytest.approx(0.6, abs=0.001),
    }


def test_the_meters_registers_count_where_there_are_some(tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(1, energy_import_wh=5000.0, energy_export_wh=100.0)
    clock.pass_(1, energy_import_wh=7000.0, energy_export_wh=100.0, p_w=-1e6)
    clock.pass_(1, energy_import_wh=10.0, energy_export_wh=400.0)  # the meter was replaced
    clock.pass_(1, energy_import_wh=510.0, energy_export_wh=400.0, soc_pct=80.04)
    clock.pass_(1, plugged=False, energy_import_wh=510.0, energy_export_wh=400.0, soc_pct=80.04)
    (session,) = clock.shown
    assert session.kwh == 2.5
    dimensions = {d.type: d.volume for d in session.charging_periods[0].dimensions}
    assert dimensions == {"ENERGY_IMPORT": 2.5, "ENERGY_EXPORT": 0.3, "STATE_OF_CHARGE": 80.0}


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 1e7)), st.floats(0, 1e3)), max_size=30))
def test_energy_never_falls(rows):
    energy, base = 0.0, None
    for register, step in rows:
        new, base = _counted(energy, base, register, step)
        assert new >= energy - 1e-6
        energy = new


def test_a_station_that_is_offline_keeps_its_session(tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(1)
    clock.pass_(30, online=False, plugged=False)
    assert clock.shown[0].status == "ACTIVE"
    clock.pass_(1, plugged=False)
    assert clock.shown[0].status == "COMPLETED"


def test_news_come_once_a_minute_at_most(tmp_path):
    clock = Clock(tmp_path)
    seen = set()
    for _ in range(600):
        clock.pass_(1, p_w=-3600.0)
        seen.add(clock.shown[0].last_updated)
    assert len(seen) <= 12
    unchanged = clock.shown[0].last_updated
    clock.pass_(70, p_w=-3600.0)
    clock.pass_(600, p_w=0.0)
    later = clock.shown[0].last_updated
    clock.pass_(600, p_w=0.0)
    assert unchanged < later == clock.shown[0].last_updated


@pytest.mark.parametrize("at", [1, 30, 200])
def test_a_session_is_found_again_whenever_the_process_ended(at, tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(at, p_w=0.0)
    clock.sessions.save()
    assert Clock(tmp_path).shown == clock.shown != []


def test_a_restart_keeps_the_session_and_its_energy(tmp_path):
    clock = Clock(tmp_path)
    clock.pass_(200, p_w=-7200.0)
    before = clock.shown[0]
    clock.sessions.save()
    again = Clock(tmp_path)
    again.pass_(100, p_w=-7200.0)
    again.pass_(1, plugged=False)
    after = again.shown[0]
    assert (after.id, after.start_date_time) == (before.id, before.start_date_time)
    assert after.kwh == pytest.approx(0.6, abs=0.01)
    assert after.status == "COMPLETED"


def test_ended_sessions_are_kept_up_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 10)
    clock = Clock(tmp_path)
    for _ in range(30):
        clock.pass_(1)
        clock.pass_(1, plugged=False)
    assert len(clock.shown) == 10


def test_a_full_disk_stops_nothing(tmp_path, monkeypatch):
    clock = Clock(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_private", full)
    clock.pass_(1)
    clock.pass_(1, plugged=False)
    assert clock.shown[0].status == "COMPLETED"


@pytest.mark.peer
def test_types_that_others_wrote_read_a_session_back_unchanged(play, partner):
    async def scenario(world):
        (data,) = (await partner.ask("GET", "2.2.1/sessions")).json()["data"]
        assert peer.Session.from_dict(data).to_dict() == data
        expected = {
            "country_code": "NL",
            "party_id": "V2G",
            "auth_method": "WHITELIST",
            "location_id": "Depot*7",
            "evse_uid": "CS001*1",
            "connector_id": "1",
            "currency": "XXX",
            "status": "ACTIVE",
        }
        assert {name: data[name] for name in expected} == expected
        assert data["cdr_token"]["type"] == "AD_HOC_USER"

    play(scenario)


def test_sessions_come_in_pages(play, partner, gateway):
    async def scenario(world):
        gateway.show(*(status(f"CS{n:03d}/1") for n in range(2, 8)))
        seen, url = [], "2.2.1/sessions?limit=3"
        while url:
            answer = await partner.ask("GET", url)
            seen += [session["evse_uid"] for session in answer.json()["data"]]
            assert answer.headers["X-Total-Count"] == "7"
            link = answer.links.get("next", {}).get("url", "")
            url = link.replace("http://gateway.example/ocpi/", "")
        assert seen == [f"CS{n:03d}*1" for n in range(1, 8)]
        answer = await partner.ask("GET", "2.2.1/sessions?offset=x")
        assert answer.json()["status_code"] == 2001
        assert (await partner.ask("GET", "2.2.1/sessions?limit=9999")).headers["X-Limit"] == "50"

    play(scenario)


def test_preferences_are_not_possible_without_tariffs(play, partner):
    async def scenario(world):
        path = f"2.2.1/sessions/{await world.session()}/charging_preferences"
        answer = await partner.ask("PUT", path, json={"profile_type": "GREEN"})
        assert answer.json()["data"] == "NOT_POSSIBLE"

    play(scenario)


def test_a_process_that_ends_leaves_its_sessions(gateway, partner):
    async def scenario():
        async with running(gateway, partner) as world:
            before = await world.session()
            async with started(gateway, partner, int(partner.base.rpartition(":")[2])):
                assert await world.session() == before

    asyncio.run(scenario())
