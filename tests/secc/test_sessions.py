"""Whole sessions with the package's EVCC over a virtual cable."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from iso15118.shared.messages.iso15118_20.common_types import EVSENotification

from tests.exi.oracle import why_not
from tests.secc.station import AC, DC, Station, until, vehicles

pytestmark = [pytest.mark.root, pytest.mark.peer]

Cables = Callable[[], tuple[str, str]]

V20_DC = {"protocol": "ISO_15118_20_DC", "service": "DC_BPT"}
V20_AC = {"protocol": "ISO_15118_20_AC", "service": "AC_BPT"}
V2_DC = {"protocol": "ISO_15118_2", "service": None, "transfer_mode": "DC_extended"}
V2_AC = {"protocol": "ISO_15118_2", "service": None, "transfer_mode": "AC_three_phase_core"}


async def results(process: asyncio.subprocess.Process) -> dict[str, dict[str, Any]]:
    out, _ = await process.communicate()
    rows = [json.loads(line) for line in out.splitlines()]
    return {row["interface"]: row for row in rows}


def test_six_vehicles_at_once_each_in_its_own_way(cables: Cables, pki: Path) -> None:
    """-2 AC with EIM, -2 DC with Plug & Charge, -20 DC and AC BPT, Dynamic and Scheduled."""

    async def scenario() -> None:
        plans: list[tuple[Any, dict[str, Any], dict[str, Any], float]] = [
            (AC, V2_AC, {"auth_modes": ("EIM",)}, -4000.0),
            (DC, V2_DC, {"auth_modes": ("PNC",)}, -500.0),  # its own target: 1 A at 500 V
            (DC, V20_DC, {}, 5000.0),
            (DC, V20_DC, {"control_mode": "scheduled"}, 5000.0),
            (AC, V20_AC, {}, 5000.0),
            (AC, V20_AC, {"control_mode": "scheduled", "auth_modes": ("EIM",)}, 5000.0),
        ]
        stations = [
            Station(*cables(), rating, pki=pki, **options) for rating, _, options, _ in plans
        ]
        rows = [
            {
                "interface": station.vehicle_end,
                "pki": str(pki),
                "period_s": 0.2,
                "cycles": 15,
                "control": options.get("control_mode", "dynamic"),
                **vehicle,
            }
            for station, (_, vehicle, options, _) in zip(stations, plans, strict=True)
        ]
        async with contextlib.AsyncExitStack() as stack:
            for station, (_, _, _, p_w) in zip(stations, plans, strict=True):
                await stack.enter_async_context(station.running())
                station.order(p_w, lease_s=120.0)
            process = await stack.enter_async_context(vehicles(rows))
            await until(lambda: all(station.ends for station in stations), 90)
            drove = await results(process)
        for station, (_, _, _, p_w) in zip(stations, plans, strict=True):
            (end,) = station.ends
            assert end.regular, end
            assert not station.evse.stage.closed
            assert not station.handshakes
            assert drove[station.vehicle_end]["loops"] >= 15
            furthest = max(station.powers, key=abs)
            assert furthest == pytest.approx(p_w, rel=0.01)
            energy = station.evse.energy_export_wh - station.evse.energy_import_wh
            assert energy * p_w > 0

    asyncio.run(scenario())


@pytest.mark.timeout(300)  # the jar takes 20 ms a message, and many times that beside other work
@pytest.mark.parametrize(
    ("vehicle", "auth_mode"),
    [
        pytest.param(V20_DC, "EIM", id="-20 DC BPT"),
        pytest.param(V20_AC, "PNC", id="-20 AC BPT Plug & Charge", marks=pytest.mark.soak),
        pytest.param(V2_DC, "PNC", id="-2 DC Plug & Charge", marks=pytest.mark.soak),
        pytest.param(V2_AC, "EIM", id="-2 AC", marks=pytest.mark.soak),
    ],
)
def test_a_vehicle_with_the_java_codec(
    cables: Cables, pki: Path, vehicle: dict[str, Any], auth_mode: str
) -> None:
    """EXIficient encodes and decodes on the vehicle."""
    reason = why_not()
    if reason:
        pytest.skip(reason)

    async def scenario() -> None:
        rating = AC if vehicle in (V20_AC, V2_AC) else DC
        station = Station(*cables(), rating, pki=pki, auth_modes=(auth_mode,))
        row = {"interface": station.vehicle_end, "pki": str(pki), "cycles": 4, **vehicle}
        async with station.running(), vehicles([row], "java") as process:
            station.order(-3000.0, lease_s=240.0)
            await until(lambda: bool(station.ends), 200)
            drove = await results(process)
        assert station.ends[0].regular, station.ends
        assert drove[station.vehicle_end]["loops"] >= 4
        assert station.evse.energy_import_wh > 0

    asyncio.run(scenario())


def test_orders_reach_the_loop_signed_and_expire(cables: Cables, pki: Path) -> None:
    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki)
        row = {"interface": station.vehicle_end, "pki": str(pki), "period_s": 0.02, **V20_DC}
        async with station.running(), vehicles([row]):
            await until(lambda: station.in_loop and station.answers > 20)
            for p_w in (4000.0, -4000.0, 49_999.7, 0.0):
                station.order(p_w)
                expected = min(p_w, 11_000.0)
                await until(lambda e=expected: station.p_w == pytest.approx(e), 5)
            station.order(2000.0, lease_s=0.5)
            await until(lambda: station.p_w == 2000.0, 5)
            await until(lambda: station.p_w == 0.0, 5)  # the lease ended
            assert station.secc.session is not None
            vehicle = station.secc.session.controller.ev_data_context
            assert vehicle.present_soc == 60
            assert vehicle.target_energy_request == pytest.approx(12_000, rel=0.05)
            assert vehicle.min_soc == 20
            await station.secc.stop_session(8.0)
            assert station.ends[0].regular
            assert not station.evse.stage.closed

    asyncio.run(scenario())


def test_service_renegotiation_keeps_the_session(cables: Cables, pki: Path) -> None:
    """The vehicle leaves the loop, the contactor opens, and services are negotiated anew.

    The package's EVCC goes no further than this: it waits for what it should ask.
    """

    async def scenario() -> None:
        station = Station(*cables(), AC, pki=pki)
        row = {"interface": station.vehicle_end, "pki": str(pki), "period_s": 0.05, **V20_AC}
        async with station.running(), vehicles([row]):
            await until(lambda: station.in_loop)
            assert station.evse.stage.closed
            station.secc.notify(EVSENotification.SERVICE_RENEGOTIATION)
            session = station.secc.session
            assert session is not None
            await until(lambda: session.stage == "ServiceDiscovery", 10)
            assert not station.ends
            assert not station.evse.stage.closed

    asyncio.run(scenario())
