"""Our worker against SunSpec devices of others' making: pysunspec2's registers on jsmodbus."""

import asyncio
import json

import pytest

from agent.cli.device import EXIT_REMARKS
from agent.vehicles.field.inverter import REVERSION_S
from agent.vehicles.field.sunspec import discover
from tests.field import agate
from tests.field.servers import DEVICE_1547, encoded, jsmodbus, needs_jsmodbus
from tests.field.site import Site, device
from tests.field.test_device_check import answer_of
from tests.field.test_peers import resolve, scan
from tests.field.test_wires import conversation

pytestmark = [pytest.mark.peer, needs_jsmodbus]


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_the_device_of_pysunspec2s_own_tests_is_discovered_point_by_point(tmp_path, base):
    async def scenario():
        theirs, registers = encoded(DEVICE_1547, base)
        async with jsmodbus(base, registers) as server:
            ours = await conversation(tmp_path, server.port).run(discover())
        assert ours.base == base
        assert ours.identity("Mn") == "SunSpecTest"
        expected = {model.model_id: model.model_addr for model in theirs.model_list}
        assert {number: model.address for number, model in ours.models.items()} == {
            number: address for number, address in expected.items() if number in ours.models
        }
        assert {1, *range(701, 714)} <= set(ours.models)
        compared = 0
        for number, model in ours.models.items():
            for name, value in model.first.items():
                other = resolve(theirs.models[number][0], name)
                if isinstance(value, float) and other is not None:
                    assert value == pytest.approx(other), (number, name)
                    compared += 1
        assert compared > 120

    asyncio.run(scenario())


def test_a_device_without_watchdog_is_a_meter_and_never_ordered(tmp_path, capsys):
    """Its model 704 implements no `WSet` and no reversion timer."""

    async def scenario():
        _, registers = encoded(DEVICE_1547, 40_000)
        async with jsmodbus(40_000, registers) as server:
            checked = await answer_of(
                capsys, "sunspec", "--host", "127.0.0.1", "--port", server.port
            )
            tables = [device(port=server.port)]
            async with Site(tmp_path, tables, grid="nominal_hz = 60") as site:
                status = await site.until(lambda: site.status() if site.status() else None)
                await site.until(lambda: site.status().online)
                status = site.status()
                refused = await site.result(site.order(1000.0))
            return checked, status, refused, server.written

    (code, answer), status, refused, written = asyncio.run(scenario())
    assert code == EXIT_REMARKS
    lacking = {each["quantity"] for each in answer["remarks"] if each["key"] == "model 704"}
    assert "WSet" in lacking
    assert "orders" in status.cannot
    assert (status.vendor, status.model, status.p_w) == ("SunSpecTest", "Test-1547-1", 9800.0)
    assert not refused.accepted
    assert written == []


def built(tmp_path, **state):
    """Return the aGate's registers, encoded by pysunspec2."""
    path = tmp_path / "agate.json"
    path.write_text(json.dumps({"name": "agate", "models": agate.models(**state)}))
    return encoded(path, 0)


def test_a_battery_gateway_in_service_is_where_its_owner_found_it(tmp_path, capsys):
    async def scenario():
        _, registers = built(tmp_path, local=True, w_max=0)
        async with jsmodbus(0, registers) as server:
            ours = await conversation(tmp_path, server.port).run(discover())
            return ours, await answer_of(
                capsys, "sunspec", "--host", "127.0.0.1", "--port", server.port
            )

    ours, (code, answer) = asyncio.run(scenario())
    for (number, name), address in agate.ADDRESSES.items():
        model = ours.models[number]
        assert model.address + model.points[name].offset == address, (number, name)
    assert code == EXIT_REMARKS
    assert {(each["quantity"], each["register"]) for each in answer["remarks"]} == {
        ("WMax", 251),
        ("LocRemCtl", ours.models[715].address + 2),
    }


def test_a_device_whose_reversion_timer_does_not_run_is_not_ordered(tmp_path):
    """jsmodbus keeps registers and nothing more: `WSetRvrtRem` stands at 0 after an order."""

    async def scenario():
        _, registers = built(tmp_path, local=False, w_max=None)
        async with (
            jsmodbus(0, registers) as server,
            Site(tmp_path, [device(port=server.port)]) as site,
        ):
            await site.until(lambda: site.status() is not None and site.status().online)
            return await site.result(site.order(-3300.0))

    result = asyncio.run(scenario())
    assert not result.accepted
    assert result.reason == "the reversion timer stands at 0 s after an order"


def test_it_is_ordered_with_its_watchdog_and_read_by_pysunspec2(tmp_path):
    """The orders are jsmodbus's to keep; a second client of others reads what stands there."""

    async def scenario():
        _, registers = built(tmp_path, local=False, w_max=None, remaining_s=None)
        async with (
            jsmodbus(0, registers) as server,
            Site(tmp_path, [device(port=server.port)]) as site,
        ):
            await site.until(lambda: site.status() is not None and site.status().online)
            status = site.status()
            assert "orders" not in status.cannot
            assert (status.charge_max_w, status.discharge_max_w) == (10_000.0, 10_000.0)
            assert (await site.result(site.order(-3300.0))).accepted
            peer = await asyncio.to_thread(scan, server.port)
            control = peer.models[704][0]
            order = [control.WSetEna.value, control.WSetMod.value, control.WSet.cvalue]
            timer = [control.WSetEnaRvrt.value, control.WSetRvrtTms.value, control.WSetRvrt.cvalue]
            await asyncio.to_thread(peer.close)
            renewed = len(server.written)
            await site.until(lambda: len(server.written) >= renewed + 4)
            during = tuple(server.written)
            refused = await site.result(site.order(10_500.0))
            assert not refused.accepted  # and then nothing is in force
            await site.until(lambda: (318, (1, 1, 0, 0)) in server.written)
        return order, timer, during

    order, timer, during = asyncio.run(scenario())
    assert order == [1, 1, -3300]
    assert timer == [1, REVERSION_S, 0]
    orders = [registers for address, registers in during if address == 318]
    assert set(orders) == {(1, 1, 0xFFFF, 0x10000 - 3300)}
    assert len(orders) >= 2  # it was renewed
    beats = [registers[1] for address, registers in during if len(registers) == 2 and address > 363]
    assert beats == list(range(1, len(beats) + 1))
    assert len(beats) >= 2
