"""Against SunSpec software that is not ours: pysunspec2's client reads and orders the inverter."""

import asyncio

import pytest
import sunspec2.modbus.client as sunspec2

from agent.vehicles.field.inverter import SunSpecInverter, limits_of
from agent.vehicles.field.sunspec import discover
from tests.field.site import Inverter, served
from tests.field.test_wires import conversation

pytestmark = pytest.mark.peer


def scan(port):
    device = sunspec2.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
    device.scan()
    return device


def test_pysunspec2_finds_the_same_models_points_and_values(tmp_path):
    """Every scaled value of every model that both know, read by both, is the same."""

    async def scenario():
        inverter = Inverter(soc_pct=42.5)
        async with served(inverter.device()) as port:
            peer = await asyncio.to_thread(scan, port)
            ours = await conversation(tmp_path, port).run(discover())
            assert set(ours.models) == {key for key in peer.models if isinstance(key, int)}
            compared = 0
            for number, model in ours.models.items():
                theirs = peer.models[number][0]
                for name, value in model.first.items():
                    other = resolve(theirs, name)
                    if isinstance(value, float) and other is not None and number != 715:
                        assert value == pytest.approx(other), (number, name)
                        compared += 1
            assert compared > 150
            await asyncio.to_thread(peer.close)

    asyncio.run(scenario())


def resolve(group, path):
    """The value of `Crv[0].Pt[1].V` in pysunspec2's objects."""
    for part in path.split("."):
        name, _, index = part.partition("[")
        group = getattr(group, name)
        if index:
            group = group[int(index.rstrip("]"))]
    return group.cvalue


def test_what_pysunspec2_orders_we_read_and_what_we_order_it_reads(tmp_path):
    async def scenario():
        async with served(Inverter().device()) as port:
            peer = await asyncio.to_thread(scan, port)

            def order():
                control = peer.models[704][0]
                control.WSetEna.value, control.WSetMod.value, control.WSet.cvalue = 1, 1, -3300
                control.write()

            await asyncio.to_thread(order)
            talk = conversation(tmp_path, port)
            device = await talk.run(discover())
            ours = SunSpecInverter(device, limits_of(device, 11e3, 11e3))
            assert (await talk.run(ours.poll())).setpoint_w == -3300.0
            await talk.run(ours.prepare())
            await talk.run(ours.order(4400.0))

            def read():
                control = peer.models[704][0]
                control.read()
                return control.WSet.cvalue, control.WSetRvrtTms.value, control.WSetEnaRvrt.value

            assert await asyncio.to_thread(read) == (4400, 5, 1)
            await asyncio.to_thread(peer.close)

    asyncio.run(scenario())
