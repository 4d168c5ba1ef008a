"""Stations made of other people's software against our server; makes `docs/interop.md`'s matrix.

The npm peers are there after `npm ci --prefix tests/peers`; without them their tests are skipped.
"""

import asyncio
import datetime
import importlib.util
import json
import os
import re
import shutil
import sys
from importlib.metadata import version as version_of
from pathlib import Path

import pytest

from agent.config import StationListener
from agent.ocpp import Version
from agent.vehicles.stations.passwords import new_line

PEERS = Path(__file__).parents[1] / "peers"
PASSWORD = "a password of thirty-two letters"
NODE = shutil.which("node")
HANG_S = 40.0

needs_npm = pytest.mark.skipif(
    NODE is None or not (PEERS / "node_modules" / "ocpp-rpc").is_dir(),
    reason="npm peers are not installed: npm ci --prefix tests/peers",
)
needs_test_ocpp = pytest.mark.skipif(
    importlib.util.find_spec("test_ocpp") is None, reason="test-ocpp is not installed"
)
pytestmark = [pytest.mark.peer]


@pytest.fixture
def doors(tmp_path, pki):
    """Return settings with a listener for each security profile, and what a peer needs there."""
    identities = [f"PEER-{version.name}-{profile}" for version in Version for profile in range(4)]
    path = tmp_path / "passwords"
    path.write_text("".join(new_line(name, PASSWORD) + "\n" for name in identities))
    listeners = tuple(
        StationListener(host="127.0.0.1", port=0, security_profile=profile) for profile in (1, 2, 3)
    )

    def options(here, version, profile):
        identity = f"PEER-{version.name}-{profile}"
        scheme = "wss" if profile >= 2 else "ws"
        wanted = {
            "endpoint": f"{scheme}://localhost:{here.listeners.ports[profile]}",
            "identity": identity,
        }
        if profile in {1, 2}:
            wanted["password"] = PASSWORD
        if profile >= 2:
            wanted["ca"] = str(pki.ca)
        if profile == 3:
            certificate, key = pki.issue(identity, identity)
            wanted |= {"cert": str(certificate), "key": str(key)}
        return wanted

    return pki.settings(passwords=path, listeners=listeners), options


async def start(*command):
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


async def line_of(process):
    line = await asyncio.wait_for(process.stdout.readline(), HANG_S)
    if not line:
        raise AssertionError((await process.stderr.read()).decode()[-2000:])
    return json.loads(line)


@needs_npm
@pytest.mark.parametrize("library", ["ocpp-rpc", "ocpp-ws-io"])
def test_npm_stations(site, doors, library, matrix):
    """Three versions at four security profiles: booted, plugged in, ordered, carried out."""
    settings, options = doors
    release = json.loads((PEERS / "node_modules" / library / "package.json").read_text())["version"]

    def strict(version):
        """The 2.1 schemas of ocpp-rpc have ids that its own validator cannot resolve."""
        return (library, version) != ("ocpp-rpc", Version.V21)

    async def scenario():
        async with site(**settings) as here:
            plan = [(version, profile) for version in Version for profile in range(4)]
            stations = [
                {**options(here, v, p), "protocol": v.subprotocol, "strict": strict(v)}
                for v, p in plan
            ]
            process = await start(NODE, str(PEERS / "station.js"), library, json.dumps(stations))
            for version, profile in plan:
                await follow(here, process, version, profile)
                note = "schemas checked by the peer" if strict(version) else "own schema check off"
                matrix.add("npm", library, release, version, profile, note)
            await asyncio.wait_for(process.wait(), HANG_S)

    async def follow(here, process, version, profile):
        identity = f"PEER-{version.name}-{profile}"
        evse_id = f"{identity}/1"
        assert await line_of(process) == {"identity": identity, "ready": True}
        status = here.status(evse_id)
        assert (status.protocol, status.plugged, status.p_w) == (version.label, True, -7200.0)
        v2x = version is Version.V21
        await here.order(3000.0 if v2x else -3000.0, evse_id)
        outcome = await line_of(process)
        assert outcome["failures"] == []
        assert outcome["boot"]["status"] == "Accepted"
        assert (await here.result(1, evse_id)).accepted
        wanted = '"setpoint": -3000' if v2x else '"limit": 3000'
        assert wanted in json.dumps(outcome["order"])

    asyncio.run(scenario())


@needs_test_ocpp
@pytest.mark.parametrize("version", [Version.V16, Version.V201])
def test_test_ocpp(site, doors, version, matrix):
    settings, options = doors

    async def scenario():
        async with site(**settings) as here:
            for profile in range(4):
                wanted = options(here, version, profile)
                endpoint, identity = wanted.pop("endpoint"), wanted.pop("identity")
                process = await start(
                    *(sys.executable, "-m", "test_ocpp", endpoint, identity),
                    *("--ocpp", version.subprotocol.removeprefix("ocpp")),
                    *(f"--{name}={value}" for name, value in wanted.items()),
                )
                output, errors = await asyncio.wait_for(process.communicate(), HANG_S)
                assert process.returncode == 0, (output + errors).decode()
                assert here.fleet.stations[identity].booted
                release = version_of("test-ocpp")
                matrix.add("PyPI", "test-ocpp", release, version, profile, "boot and heartbeat")

    asyncio.run(scenario())


@pytest.mark.parametrize("version", list(Version))
def test_pypi_ocpp(site, version, matrix):
    """The `ocpp` package as a station, on the `websockets` library."""
    websockets = pytest.importorskip("websockets")
    module = importlib.import_module(f"ocpp.v{version.name[1:]}")
    routing = importlib.import_module("ocpp.routing")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    orders = []

    class Station(module.ChargePoint):
        @routing.on("SetChargingProfile", skip_schema_validation=False)
        def on_profile(self, **payload):
            orders.append(payload)
            return module.call_result.SetChargingProfile(status="Accepted")

    async def scenario():
        async with (
            site() as here,
            websockets.connect(
                f"ws://127.0.0.1:{here.port}/PEER",
                subprotocols=[version.subprotocol],
                proxy=None,
            ) as socket,
        ):
            station = Station("PEER", socket, response_timeout=10)
            reading = asyncio.create_task(station.start())
            call = module.call
            if version is Version.V16:
                boot = call.BootNotification(charge_point_vendor="v", charge_point_model="m")
                start = call.StartTransaction(
                    connector_id=1, id_tag="t", meter_start=0, timestamp=now
                )
            else:
                boot = call.BootNotification(
                    reason="PowerUp", charging_station={"model": "m", "vendorName": "v"}
                )
                start = call.TransactionEvent(
                    event_type="Started",
                    timestamp=now,
                    trigger_reason="CablePluggedIn",
                    seq_no=0,
                    transaction_info={"transactionId": "t", "chargingState": "Charging"},
                    evse={"id": 1},
                )
            assert (await station.call(boot)).status == "Accepted"
            await station.call(start)
            await here.order(-2500.0, "PEER/1")
            await here.until(lambda: orders)
            assert (await here.result(1, "PEER/1")).accepted
            assert "2500" in repr(orders)
            reading.cancel()

    asyncio.run(scenario())
    release = version_of("ocpp")
    matrix.add("PyPI", "ocpp + websockets", release, version, 0, "charging limit")


class Matrix:
    """Collects what worked; written into the documentation when the variable asks for it."""

    def __init__(self):
        self.rows = {}

    def add(self, registry, name, release, version, profile, note):
        key = (registry, name, release, version.label, note)
        self.rows.setdefault(key, set()).add(profile)

    def table(self):
        lines = [
            "| Peer | Release | Version | Security profiles | Remarks |",
            "|---|---|---|---|---|",
        ]
        for (registry, name, release, label, note), profiles in sorted(self.rows.items()):
            shown = ", ".join(str(profile) for profile in sorted(profiles))
            lines.append(f"| {name} ({registry}) | {release} | {label} | {shown} | {note} |")
        return "\n".join(lines)


@pytest.fixture(scope="session")
def matrix():
    """Collects the matrix; `WRITE_INTEROP=1` writes it into docs/interop.md."""
    collected = Matrix()
    yield collected
    page = Path(__file__).parents[2] / "docs" / "interop.md"
    if os.environ.get("WRITE_INTEROP") == "1":
        marked = re.compile(r"(<!-- matrix: stations -->\n).*?(\n<!-- end -->)", re.DOTALL)
        text = page.read_text()
        page.write_text(marked.sub(lambda m: m[1] + collected.table() + m[2], text))
