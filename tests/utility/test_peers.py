"""CSMSs made of other people's software against our client; makes a matrix of `docs/interop.md`.

The npm peers are there after `npm ci --prefix tests/peers`; without them their tests are skipped.
"""

import asyncio
import importlib.util
import json
import os
import re
import shutil
import ssl
from importlib.metadata import version as version_of
from pathlib import Path

import pytest

from agent.messages import RequestKind
from agent.ocpp import Version

PEERS = Path(__file__).parents[1] / "peers"
PASSWORD = "a password of thirty-two letters"
NODE = shutil.which("node")
HANG_S = 25.0
HOLD_MS = 2500
"""Time for the fleet to ramp before the CSMS clears its profile."""

needs_npm = pytest.mark.skipif(
    NODE is None or not (PEERS / "node_modules" / "ocpp-rpc").is_dir(),
    reason="npm peers are not installed: npm ci --prefix tests/peers",
)
needs_csms = pytest.mark.skipif(
    importlib.util.find_spec("ocpp_csms") is None, reason="ocpp-csms is not installed"
)
pytestmark = [pytest.mark.peer]


@pytest.fixture
def proofs(tmp_path, pki):
    """Return what both sides need at a security profile: (client settings, server options)."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)

    def make(profile):
        ours, theirs = {}, {}
        if profile in (1, 2):
            ours["password"], theirs["password"] = password, PASSWORD
        if profile >= 2:
            certificate, key = pki.server
            ours["ca"] = pki.ca
            theirs |= {"cert": str(certificate), "key": str(key)}
        if profile == 3:
            ours["certificate"], ours["key"] = pki.issue("gateway", "GW1")
            theirs |= {"ca": str(pki.ca), "mutual": True}
        return ours, theirs

    return make


async def line_of(process):
    line = await asyncio.wait_for(process.stdout.readline(), HANG_S)
    if not line:
        raise AssertionError((await process.stderr.read()).decode()[-2000:])
    return json.loads(line)


@needs_npm
@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("library", ["ocpp-rpc", "ocpp-ws-io"])
def test_npm_csms(make_site, tools, proofs, matrix, library, version):
    """Four security profiles: booted, told, ordered, composite read, cleared; the car followed."""
    release = json.loads((PEERS / "node_modules" / library / "package.json").read_text())["version"]
    strict = (library, version) != ("ocpp-rpc", Version.V21)
    note = "schemas checked by the peer" if strict else "own schema check off"

    async def scenario():
        await asyncio.gather(*(follow(profile) for profile in range(4)))

    async def follow(profile):
        ours, theirs = proofs(profile)
        options = {"protocol": version.subprotocol, "strict": strict, "holdMs": HOLD_MS, **theirs}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            NODE, str(PEERS / "csms.js"), library, json.dumps(options), stdout=pipe, stderr=pipe
        )
        try:
            port = (await line_of(process))["port"]
            scheme = "wss" if profile >= 2 else "ws"
            url = f"{scheme}://localhost:{port}/ocpp"
            site = make_site(None, [tools.evse(p_w=-9000.0, base_w=-9000.0)], url=url, **ours)
            async with site:
                outcome = await line_of(process)
            check(outcome, site, version)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        matrix.add("npm", library, release, version, profile, note)

    asyncio.run(scenario())


def check(outcome, site, version):
    assert "error" not in outcome, outcome
    assert outcome["failures"] == []
    answers, heard = outcome["answers"], outcome["heard"]
    assert answers["set"]["status"] == "Accepted"
    assert answers["clear"]["status"] == "Accepted"
    assert heard["BootNotification"] == 1
    assert heard["Heartbeat"] >= 2  # by itself, and when it was asked to
    assert heard["StatusNotification"] >= 1
    text = json.dumps(answers["composite"])
    if version is Version.V21:
        assert '"setpoint": -4000' in text
        assert site.of(RequestKind.WATT_SETPOINT)[0].value == 4000.0
        assert any(ordered_w > 3900.0 for _, ordered_w, _ in site.powers)
    else:
        assert '"limit": 3000' in text
        assert site.of(RequestKind.WATT_SETPOINT) == []
        assert site.of(RequestKind.CHARGE_LIMIT)[0].value == 3000.0
        assert all(ordered_w < 1.0 for _, ordered_w, _ in site.powers)
        assert any(-3050.0 < ordered_w < -2900.0 for _, ordered_w, _ in site.powers)


@needs_csms
@pytest.mark.parametrize("profile", range(4))
def test_pypi_ocpp_csms(make_site, tools, proofs, pki, matrix, profile):
    """A 1.6 central system on aiohttp and the `ocpp` package."""
    import ocpp_csms
    from ocpp.v16 import call

    ours, theirs = proofs(profile)

    async def right_password(identity, password):
        return identity == "GW1" and password == theirs.get("password")

    context = None
    if profile >= 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(theirs["cert"], theirs["key"])
        if profile == 3:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(theirs["ca"])

    async def scenario():
        events = []
        central = ocpp_csms.CentralSystem(
            host="127.0.0.1", port=0, authenticate=right_password, ssl_context=context
        )
        async with central:
            central.add_listener(events.append)
            scheme = "wss" if profile >= 2 else "ws"
            url = f"{scheme}://localhost:{central.port}/ocpp"
            site = make_site(None, [tools.evse(p_w=-9000.0, base_w=-9000.0)], url=url, **ours)
            async with site:
                await tools.until(lambda: started(events), "a transaction")
                point = central.charge_points["GW1"]
                assert point.boot.vendor == "v2g-agent"
                profile_16 = {
                    "chargingProfileId": 5,
                    "stackLevel": 1,
                    "chargingProfilePurpose": "TxDefaultProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": {
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}],
                    },
                }
                request = call.SetChargingProfile(connector_id=1, cs_charging_profiles=profile_16)
                assert (await point.async_call(request)).status == "Accepted"
                await tools.until(
                    lambda: site.statuses["CS1/1"].p_w == pytest.approx(-6 * 230 * 3, abs=60)
                )
                site.change("CS1/1", plugged=False)
                await tools.until(
                    lambda: any(isinstance(e, ocpp_csms.TransactionStoppedEvent) for e in events)
                )

    def started(events):
        return any(isinstance(each, ocpp_csms.TransactionStartedEvent) for each in events)

    asyncio.run(scenario())
    release = version_of("ocpp-csms")
    matrix.add("PyPI", "ocpp-csms", release, Version.V16, profile, "limit in amperes")


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
        marked = re.compile(r"(<!-- matrix: csms -->\n).*?(<!-- end -->)", re.DOTALL)
        text = page.read_text()
        page.write_text(marked.sub(lambda m: m[1] + collected.table() + "\n" + m[2], text))
