"""`v2g-ctl fleet` against a real nats-server."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from agent.cli.ctl import _run
from agent.config import Bus
from agent.errors import UnavailableError
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.coordinator import Coordinator
from agent.utility.bus.fleet_model import AREA, GATEWAY, Area
from agent.utility.bus.nats_link import connection
from tests.utility.bus.test_allocation import RULES, report

pytestmark = pytest.mark.peer


@pytest.fixture
def config(tmp_path, nats_server):
    (tmp_path / "p.conf").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[gateway]\npower_profile = "p.conf"\n[bus]\nnats = "{nats_server.url}"\n'
        "[grid]\ninertia_s = 4.0\narea_power_w = 1e9\n[fleet]\nenabled = true\n"
    )
    return str(path)


async def fill(server) -> None:
    async with connection(Bus(nats=server.url), "test") as (client, _):
        bucket = await Bucket.open(client, "v2g-fleet", create=True)
        for name in ("north", "south"):
            await bucket.write(GATEWAY + name, report(name, t_utc_s=time.time(), f_hz=49.98))
        await Coordinator(Area(inertia_s=4.0, power_w=1e6), RULES).run_once(bucket)


def test_it_shows_every_gateway_with_its_share(config, nats_server, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    asyncio.run(fill(nats_server))
    assert _run(["fleet", "--config", config]) == 0
    shown = capsys.readouterr().out
    assert "north" in shown
    assert "49.980 Hz" in shown
    assert "kW/Hz" in shown


def test_json_has_reports_shares_and_the_account(config, nats_server, capsys):
    asyncio.run(fill(nats_server))
    assert _run(["fleet", "--json", "--config", config]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data["gateways"]) == {"north", "south"}
    share = data["gateways"]["north"]["share"]
    assert share["gain_w_per_hz"] == data["ledger"]["grants"]["north"]["gain_w_per_hz"]
    assert data["ledger"]["admissible_w_per_hz"] > 0


def test_an_operator_states_the_area_and_the_rest_comes_from_the_configuration(
    config, nats_server, capsys
):
    asyncio.run(fill(nats_server))
    arguments = ["--inertia", "2.5", "--reserve-up", "5MW", "--lease", "10m", "--config", config]
    assert _run(["fleet", *arguments, "--json"]) == 0
    area = json.loads(capsys.readouterr().out)["area"]
    assert area["inertia_s"] == 2.5
    assert area["power_w"] == 1e9
    assert area["reserve_up_w"] == 5e6
    assert area["lease_s"] == 600.0


def test_a_statement_whose_lease_is_over_no_longer_holds(config, nats_server, capsys):
    async def state() -> None:
        async with connection(Bus(nats=nats_server.url), "test") as (client, _):
            bucket = await Bucket.open(client, "v2g-fleet", create=True)
            old = Area(inertia_s=9.0, power_w=1e9, lease_s=10.0, t_utc_s=time.time() - 20.0)
            await bucket.write(AREA, old)

    asyncio.run(state())
    assert _run(["fleet", "--json", "--config", config]) == 0
    assert json.loads(capsys.readouterr().out)["area"] is None


def test_without_a_bucket_or_a_broker_it_says_which_is_missing(config, nats_server):
    with pytest.raises(UnavailableError, match="v2g-fleet"):
        _run(["fleet", "--config", config])
    nats_server.kill()
    with pytest.raises(UnavailableError, match="127"):
        _run(["fleet", "--config", config])
