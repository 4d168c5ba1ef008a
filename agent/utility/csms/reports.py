"""What the CSMS is told without asking: states, needs, the station's meter, DER alarms."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from loguru import logger

from agent.messages import EvseView
from agent.ocpp import CallError, Payload, Version
from agent.utility.context import Context
from agent.utility.csms import wording2, wording16
from agent.utility.csms.connection import LOST, CsmsConnection
from agent.utility.csms.der import DerDesk
from agent.utility.csms.records import Meter, meter_of
from agent.utility.csms.transactions import Transactions

LOOK_S: Final = 0.5
NEEDS_CHANGE_W: Final = 500.0
"""A vehicle's limits are told again when they moved by more."""


class Reports:
    """Tells changes, each once a connection."""

    def __init__(self, context: Context, transactions: Transactions) -> None:
        self._context = context
        self._transactions = transactions
        self._states: dict[int, str] = {}
        self._needs: dict[int, tuple[float, float]] = {}
        self._metered_s = 0.0

    async def run(self, connection: CsmsConnection, der: DerDesk) -> None:
        """Look for changes and tell them, until the connection ends."""
        self._states.clear()
        self._needs.clear()
        self._metered_s = time.monotonic()
        while True:
            try:
                if self._context.fleet.complete:
                    await self._look(connection)
                for action, payload in der.news(connection.version):
                    await connection.call(action, payload)
            except CallError as error:
                if error.code not in LOST:
                    logger.warning("the CSMS refuses a report: {}", error)
            await asyncio.sleep(LOOK_S)

    async def status(self, connection: CsmsConnection, view: EvseView) -> None:
        """Tell the state of one EVSE."""
        number = self._transactions.number_of(view.evse_id)
        if connection.version is Version.V16:
            payload = wording16.status(number, view.status, time.time())
        else:
            payload = wording2.status(number, view.status, time.time())
        self._states[number] = _state(connection.version, view)
        await connection.call("StatusNotification", payload)

    async def meter(self, connection: CsmsConnection) -> None:
        """Tell the meter of the station as a whole: all EVSEs together, and the frequency."""
        await self._meter_values(connection, 0, self._total())

    async def meter_of(self, connection: CsmsConnection, view: EvseView) -> None:
        """Tell the meter of one EVSE outside of a transaction."""
        number = self._transactions.number_of(view.evse_id)
        meter = meter_of(view.status, view.ordered_w, time.time())
        await self._meter_values(connection, number, meter)

    async def _look(self, connection: CsmsConnection) -> None:
        for view in self._context.fleet:
            number = self._transactions.number_of(view.evse_id)
            if self._states.get(number) != _state(connection.version, view):
                await self.status(connection, view)
            if connection.version is Version.V21:
                await self._tell_needs(connection, number, view)
        if time.monotonic() - self._metered_s >= self._transactions.interval_s:
            self._metered_s = time.monotonic()
            await self.meter(connection)

    async def _tell_needs(self, connection: CsmsConnection, number: int, view: EvseView) -> None:
        state = view.status
        if number not in self._transactions.running:
            self._needs.pop(number, None)
            return
        limits = (state.charge_max_w, state.discharge_max_w)
        told = self._needs.get(number)
        moved = told is None or max(abs(a - b) for a, b in zip(limits, told, strict=True))
        if moved is True or moved > NEEDS_CHANGE_W:
            self._needs[number] = limits
            await connection.call("NotifyEVChargingNeeds", wording2.charging_needs(number, state))

    async def _meter_values(self, connection: CsmsConnection, evse: int, meter: Meter) -> None:
        payload: Payload
        if connection.version is Version.V16:
            payload = wording16.meter_values(evse, meter)
        else:
            payload = wording2.meter_values(connection.version, evse, meter)
        if payload["meterValue"][0]["sampledValue"]:
            await connection.call("MeterValues", payload)

    def _total(self) -> Meter:
        fleet = self._context.fleet
        snapshot = fleet.snapshot
        measured = snapshot.measurement if snapshot is not None else None
        return Meter(
            t_utc_s=time.time(),
            p_w=fleet.delivered_w,
            ordered_w=snapshot.loop.ordered_w if snapshot is not None else None,
            f_hz=measured.f_hz if measured is not None else None,
        )


def _state(version: Version, view: EvseView) -> str:
    if version is Version.V16:
        return str(wording16.status(1, view.status, 0.0)["status"])
    return wording2.connector_status(view.status)
