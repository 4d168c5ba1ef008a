"""A partner's profile through the real processes: HTTPS, utility worker, daemon, station."""

import asyncio
import ssl

import httpx
import pytest

from agent.link import Link
from agent.messages import Role
from tests.gateway.conftest import FakeWorker, daemon, evse_status, measurement, wait_for
from tests.utility.certificates import Authority
from tests.utility.ocpi.conftest import TOKEN_A, Partner, serving
from tests.utility.processes import UtilityProcess, free_port

__all__ = ["daemon"]


@pytest.fixture
def worker_of():
    links = []

    def connect(daemon, role):
        link = Link(daemon.socket, role)
        wait_for(link.connect)
        links.append(link)
        fake = FakeWorker(link)
        fake.beat()
        return fake

    yield connect
    for link in links:
        link.close()


@pytest.mark.timeout(180)
def test_a_partner_limits_a_vehicle_that_charges(daemon, worker_of, tmp_path):
    authority = Authority(tmp_path)
    pem, private = authority.issue("gateway")
    port = free_port()
    (tmp_path / "tokens").write_text(TOKEN_A)

    async def scenario():
        partner = Partner()
        async with serving(partner.app()) as partner_port:
            partner.base = f"http://127.0.0.1:{partner_port}"
            partner.gateway = f"https://localhost:{port}"
            with daemon.config.open("a") as config:
                config.write(
                    f"[utility]\napi_port = {port}\napi_certificate = '{pem}'\n"
                    f"api_key = '{private}'\n[ocpi]\nenabled = true\ntokens = 'tokens'\n"
                    f"url = 'https://localhost:{port}'\n"
                    f"callback_hosts = ['127.0.0.1:{partner_port}']\n"
                )
            daemon.start()
            process = UtilityProcess(daemon.config, port)
            await asyncio.to_thread(process.start)
            bus, stations = worker_of(daemon, Role.PROCESS_BUS), worker_of(daemon, Role.STATIONS)
            charging = {"p_w": -7000.0, "base_w": -7000.0}

            def beat():
                bus.link.send(measurement(50.0))
                stations.link.send(evse_status(**charging))

            async def until(condition):
                async with asyncio.timeout(60.0):
                    while not (value := condition()):
                        beat()
                        await asyncio.sleep(0.05)
                    return value

            trust = ssl.create_default_context(cafile=authority.pem)
            try:
                async with httpx.AsyncClient(verify=trust, timeout=30) as partner.client:
                    await partner.register()
                    found = []
                    while not found:
                        beat()
                        answer = await partner.ask("GET", "2.2.1/sessions")
                        found = answer.json()["data"]
                        await asyncio.sleep(0.3)
                    periods = [{"start_period": 0, "limit": 3000.0}]
                    await partner.put_profile(found[0]["id"], charging_profile_period=periods)
                    order = await until(
                        lambda: [o for o in stations.setpoints() if -3000.5 <= o.p_w <= -2900.0]
                    )
                    charging["p_w"] = charging["setpoint_w"] = order[-1].p_w
                    await until(lambda: partner.results.get("set"))
                    assert partner.results["set"] == [{"result": "ACCEPTED"}]
            finally:
                process.kill()
        assert daemon.stop() == 0

    asyncio.run(scenario())
    orders = [line for line in daemon.audit if line["kind"] == "command"]
    assert any(line["who"] == "ocpi:DE*ABC" for line in orders)
