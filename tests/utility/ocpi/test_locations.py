"""The fleet as an OCPI location, checked against types that others generated from the standard."""

import pytest
from ocpi_types import v2_2_1 as peer

from tests.utility.ocpi.conftest import status

GOLDEN = {
    "country_code": "NL",
    "party_id": "V2G",
    "id": "Depot*7",
    "publish": False,
    "name": "V2G gateway",
    "address": "unknown",
    "city": "unknown",
    "country": "XXX",
    "coordinates": {"latitude": "0.00000", "longitude": "0.00000"},
    "time_zone": "UTC",
    "last_updated": "",
    "evses": [
        {
            "uid": "CS001*1",
            "status": "CHARGING",
            "capabilities": ["CHARGING_PROFILE_CAPABLE"],
            "connectors": [
                {
                    "id": "1",
                    "standard": "IEC_62196_T2",
                    "format": "CABLE",
                    "power_type": "AC_3_PHASE",
                    "max_voltage": 230,
                    "max_amperage": 32,
                    "last_updated": "",
                    "max_electric_power": 11000,
                }
            ],
            "last_updated": "",
            "physical_reference": "CS001/1",
        }
    ],
    "operator": {"name": "V2G gateway"},
}


def undated(value):
    if isinstance(value, dict):
        return {k: "" if k == "last_updated" else undated(v) for k, v in value.items()}
    return [undated(item) for item in value] if isinstance(value, list) else value


async def location(partner):
    return (await partner.ask("GET", "2.2.1/locations")).json()["data"][0]


def test_the_document_is_the_documented_one(play, partner):
    async def scenario(world):
        answer = await partner.ask("GET", "2.2.1/locations")
        assert answer.headers["X-Total-Count"] == "1"
        assert answer.headers["content-type"] == "application/json"
        assert undated(answer.json()["data"]) == [GOLDEN]
        assert set(answer.json()) == {"data", "status_code", "status_message", "timestamp"}

    play(scenario)


@pytest.mark.peer
def test_types_that_others_wrote_read_it_back_unchanged(play, partner):
    async def scenario(world):
        data = await location(partner)
        assert peer.Location.from_dict(data).to_dict() == data
        for path, kind in {
            "2.2.1": peer.VersionDetails,
            "2.2.1/credentials": peer.Credentials,
            "2.2.1/locations/Depot*7/CS001*1": peer.Evse,
            "2.2.1/locations/Depot*7/CS001*1/1": peer.Connector,
        }.items():
            data = (await partner.ask("GET", path)).json()["data"]
            assert kind.from_dict(data).to_dict() == data
        (data,) = (await partner.ask("GET", "versions")).json()["data"]
        assert peer.Version.from_dict(data).to_dict() == data

    play(scenario)


def test_each_part_can_be_asked_for(play, partner):
    async def scenario(world):
        whole = await location(partner)
        evse = whole["evses"][0]
        for path, expected in {
            "Depot*7": whole,
            "Depot*7/CS001*1": evse,
            "Depot*7/CS001*1/1": evse["connectors"][0],
        }.items():
            answer = await partner.ask("GET", f"2.2.1/locations/{path}")
            assert answer.json()["data"] == expected
        for path in ("Depot", "Depot*7/CS9*1", "Depot*7/CS001*1/2"):
            answer = await partner.ask("GET", f"2.2.1/locations/{path}")
            assert (answer.status_code, answer.json()["status_code"]) == (404, 2003)

    play(scenario)


def test_states_follow_the_fleet_and_dates_follow_the_states(play, partner, gateway):
    async def scenario(world):
        first = await location(partner)
        gateway.show(status(p_w=-7100.0), status("CS002/1", plugged=False))
        second = await location(partner)
        assert second["evses"][0] == first["evses"][0]  # its power is no part of it
        assert second["evses"][1]["status"] == "AVAILABLE"
        assert second["last_updated"] == second["evses"][1]["last_updated"]
        gateway.show(status("CS002/1", fault="ground fault"), status(online=False))
        third = await location(partner)
        assert [evse["status"] for evse in third["evses"]] == ["UNKNOWN", "OUTOFORDER"]
        assert third["last_updated"] >= second["last_updated"]
        del gateway.fleet["CS002/1"]
        gateway.show(complete=False)
        assert (await location(partner))["evses"][1]["status"] == "OUTOFORDER"
        gateway.show(complete=True)
        assert (await location(partner))["evses"][1]["status"] == "REMOVED"
        query = {"date_from": "2999-01-01T00:00:00Z"}
        answer = await partner.ask("GET", "2.2.1/locations", params=query)
        assert answer.json()["data"] == []

    play(scenario)
