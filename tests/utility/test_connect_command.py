"""The seed's command: `v2g-client --connect --cert FILE`."""

import asyncio
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


async def client(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.cli.client",
        *map(str, arguments),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, output.decode(), errors.decode()


def config(folder, url, **more):
    """Write agent.toml; return its path."""
    lines = [f'{name} = "{value}"' for name, value in {"url": url, **more}.items()]
    (folder / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    path = folder / "agent.toml"
    path.write_text(
        '[gateway]\nname = "GW1"\nrun_dir = "run"\nstate_dir = "."\nlog_dir = "log"\n'
        'power_profile = "power.conf"\n[utility]\n' + "\n".join(lines) + "\n"
    )
    return path


def test_the_seeds_command_with_key_authority_and_url_from_the_configuration(tools, pki, tmp_path):
    """mTLS, security profile 3; only `--cert` is on the command line."""
    certificate, key = pki.issue("evse-client", "GW1")

    async def scenario():
        async with tools.Csms(tls=pki.server_context()) as csms:
            path = config(tmp_path, csms.url, ca=pki.ca, certificate=certificate, key=key)
            options = ("--config", path, "--for", "3s")
            code, output, errors = await client("–connect", "–cert", certificate, *options)
            assert code == 0, output + errors
            assert "connected: OCPP 2.1" in output
            assert "heartbeat 1" in output
            assert csms.of("BootNotification")[0]["chargingStation"]["serialNumber"] == "GW1"

    asyncio.run(scenario())


def test_the_key_beside_the_certificate_is_found(tools, pki, tmp_path):
    certificate, _ = pki.issue("evse-client", "GW1")

    async def scenario():
        async with tools.Csms(tls=pki.server_context()) as csms:
            code, output, errors = await client(
                *("--connect", "--cert", certificate, "--ca", pki.ca, "--url", csms.url),
                *("--identity", "GW7", "--json", "--for", "3s", "--config", tmp_path / "none.toml"),
            )
            assert code == 0, errors
            rows = [json.loads(line) for line in output.splitlines()]
            assert rows[-1]["stage"] == "connected"
            assert csms.paths == ["/ocpp/GW7"]

    asyncio.run(scenario())


def test_what_is_missing_or_wrong_is_named(pki, tmp_path):
    certificate, _ = pki.issue("old", "GW1", start_days=-40, end_days=-10)
    lonely, key = pki.issue("lonely", "GW1")
    key.unlink()

    async def scenario():
        path = config(tmp_path, "")
        code, _, errors = await client("--connect", "--cert", lonely, "--config", path)
        assert (code, "utility.url" in errors) == (78, True)
        wss = ("--url", "wss://localhost:9/ocpp", "--config", path)
        code, _, errors = await client("--connect", "--cert", certificate, *wss)
        assert (code, "expired on" in errors) == (78, True)
        code, _, errors = await client("--connect", "--cert", lonely, *wss)
        assert (code, "private key" in errors) == (78, True)
        code, _, errors = await client("--connect", "--url", "ws://csms.example/x")
        assert (code, "clear" in errors) == (78, True)

    asyncio.run(scenario())


def test_a_csms_that_is_not_there_is_exit_69_with_the_reason(pki, tmp_path):
    certificate, _ = pki.issue("evse-client", "GW1")

    async def scenario():
        url = ("--url", "wss://localhost:9/ocpp", "--ca", pki.ca)
        nowhere = ("--config", tmp_path / "none.toml", "--for", "1s")
        code, output, _ = await client("--connect", "--cert", certificate, *url, *nowhere)
        assert (code, "tcp: Connection refused" in output) == (69, True)

    asyncio.run(scenario())
