"""Answers what the CSMS asks of the gateway itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from agent.messages import EvseView
from agent.ocpp import CallError, ErrorCode, Payload, Version
from agent.utility.context import Context
from agent.utility.csms.device_model import DeviceModel
from agent.utility.csms.variables import variables_of

if TYPE_CHECKING:
    from agent.utility.csms.client import CsmsClient

Answer = Callable[[Version, Payload], Awaitable[Payload]]
_REMOTE: Final = "vehicles start by being plugged in; charging profiles say with which power"
_STOPPING: Final = "a charging profile with limit 0 stops the power; the driver ends the charge"
_RESET: Final = "this gateway is restarted by whoever runs it"
_AVAILABLE: Final = "the EVSEs of this station are switched by their own stations"
_STATIONS: Final = "it is asked of each station, on that station's own connection"


class Desk:
    """One method an action; what is not here is answered with NotSupported."""

    def __init__(self, context: Context, client: CsmsClient) -> None:
        self._context = context
        self._client = client
        self._model = DeviceModel(variables_of(context, client))
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: dict[str, Answer] = {
            "SetChargingProfile": lambda v, p: client.smart.set_profile(v, p),
            "ClearChargingProfile": lambda v, p: client.smart.clear(v, p),
            "GetCompositeSchedule": _now(lambda v, p: client.smart.composite(v, p)),
            "GetChargingProfiles": self._get_profiles,
            "UpdateDynamicSchedule": lambda _, p: client.smart.update(p),
            "AFRRSignal": lambda _, p: client.smart.afrr(p),
            "SetDERControl": self._set_der,
            "GetDERControl": self._get_der,
            "ClearDERControl": self._clear_der,
            "GetVariables": _now(lambda _, p: self._model.get_variables(p)),
            "SetVariables": _now(lambda _, p: self._model.set_variables(p)),
            "GetBaseReport": self._base_report,
            "GetReport": self._report,
            "GetConfiguration": _now(lambda _, p: self._model.get_configuration(p)),
            "ChangeConfiguration": _now(lambda _, p: self._model.change_configuration(p)),
            "TriggerMessage": self._trigger,
            "GetTransactionStatus": _now(self._transaction_status),
            "Reset": _refusing(_RESET),
            "ChangeAvailability": _refusing(_AVAILABLE),
            "RequestStartTransaction": _refusing(_REMOTE),
            "RemoteStartTransaction": _refusing(_REMOTE),
            "RequestStopTransaction": _refusing(_STOPPING),
            "RemoteStopTransaction": _refusing(_STOPPING),
            "NotifyAllowedEnergyTransfer": _refusing(_STATIONS),
            "ClearCache": _refusing(_STATIONS),
            "GetLocalListVersion": _now(lambda v, _: _list_version(v)),
            "DataTransfer": self._transfer,
        }

    async def answer(self, version: Version, action: str, payload: Payload) -> Payload:
        """Return the answer.

        Raises:
            CallError: The gateway does not do this.
        """
        answer = self._answers.get(action)
        if answer is None:
            raise CallError(ErrorCode.NOT_SUPPORTED, f"{action}: {_STATIONS}")
        self._context.count("csms_calls")
        return await answer(version, payload)

    async def _transfer(self, version: Version, payload: Payload) -> Payload:
        take = self._context.transfers.get(payload["vendorId"])
        if take is None:
            return {"status": "UnknownVendorId"}
        status, data = await take(payload.get("messageId", ""), payload.get("data"))
        if data is None:
            return {"status": status}
        # In 1.6 data is a text; since 2.0.1 it is any value.
        return {"status": status, "data": data if version.is_2x else json.dumps(data)}

    async def _get_profiles(self, _version: Version, payload: Payload) -> Payload:
        reports = self._client.smart.report(payload)
        self._later("ReportChargingProfiles", reports)
        return {"status": "Accepted" if reports else "NoProfiles"}

    async def _set_der(self, _version: Version, payload: Payload) -> Payload:
        client = self._client
        answer = await client.der.set(payload, client.smart.wishes, client.smart.scene())
        await client.smart.renew()
        return answer

    async def _clear_der(self, _version: Version, payload: Payload) -> Payload:
        answer = self._client.der.clear(payload)
        await self._client.smart.renew()
        return answer

    async def _get_der(self, _version: Version, payload: Payload) -> Payload:
        answer, reports = self._client.der.get(payload)
        self._later("ReportDERControl", reports)
        return answer

    async def _base_report(self, _version: Version, payload: Payload) -> Payload:
        if payload["reportBase"] not in ("FullInventory", "ConfigurationInventory"):
            return {"status": "NotSupported"}
        self._later("NotifyReport", self._model.reports(payload["requestId"], time.time(), None))
        return {"status": "Accepted"}

    async def _report(self, _version: Version, payload: Payload) -> Payload:
        names = {each["component"]["name"] for each in payload.get("componentVariable", ())}
        reports = self._model.reports(payload["requestId"], time.time(), names or None)
        if not reports:
            return {"status": "EmptyResultSet"}
        self._later("NotifyReport", reports)
        return {"status": "Accepted"}

    async def _trigger(self, version: Version, payload: Payload) -> Payload:
        wanted = payload["requestedMessage"]
        number = payload.get("connectorId", payload.get("evse", {}).get("id", 0))
        views = self._views(number)
        if number and not views:
            return _rejected(version, f"there is no EVSE {number}")
        work = self._triggered(wanted, views if number else [], version)
        if work is None:
            return {"status": "NotImplemented"}
        self._start(work)
        return {"status": "Accepted"}

    def _triggered(
        self, wanted: str, views: list[EvseView], version: Version
    ) -> Coroutine[Any, Any, None] | None:
        client = self._client
        connection = client.connection
        if connection is None:
            return None

        async def boot() -> None:
            await client.boot(connection, "Triggered")

        async def beat() -> None:
            await connection.call("Heartbeat", {})

        async def states() -> None:
            for view in views or list(self._context.fleet):
                await client.reports.status(connection, view)

        async def meters() -> None:
            if not views:
                await client.reports.meter(connection)
            for view in views:
                await client.reports.meter_of(connection, view)

        async def transactions() -> None:
            for view in views or list(self._context.fleet):
                client.transactions.report(view, time.time())

        known: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "BootNotification": boot,
            "Heartbeat": beat,
            "StatusNotification": states,
            "MeterValues": meters,
        }
        if version is not Version.V16:
            known["TransactionEvent"] = transactions
        make = known.get(wanted)
        return None if make is None else make()

    def _transaction_status(self, _version: Version, payload: Payload) -> Payload:
        waiting = len(self._client.journal) > 0
        wanted = payload.get("transactionId")
        if wanted is None:
            return {"messagesInQueue": waiting}
        running = self._client.transactions.running.values()
        ongoing = any(each.transaction_id == wanted for each in running)
        return {"ongoingIndicator": ongoing, "messagesInQueue": waiting}

    def _views(self, number: int) -> list[EvseView]:
        number_of = self._client.transactions.number_of
        return [view for view in self._context.fleet if number_of(view.evse_id) == number]

    def _later(self, action: str, payloads: list[Payload]) -> None:
        """Send what follows an answer, after the answer."""

        async def send() -> None:
            for payload in payloads:
                await self._client.call(action, payload)

        if payloads:
            self._start(send())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except CallError as error:
        logger.warning("the CSMS does not take what it asked for: {}", error)


def _now(answer: Callable[[Version, Payload], Payload]) -> Answer:
    async def later(version: Version, payload: Payload) -> Payload:
        return answer(version, payload)

    return later


def _refusing(text: str) -> Answer:
    async def refuse(version: Version, _payload: Payload) -> Payload:
        return _rejected(version, text)

    return refuse


def _rejected(version: Version, text: str) -> Payload:
    if version is Version.V16:
        return {"status": "Rejected"}
    info = {"reasonCode": "UnsupportedRequest", "additionalInfo": text}
    return {"status": "Rejected", "statusInfo": info}


def _list_version(version: Version) -> Payload:
    return {"listVersion": -1} if version is Version.V16 else {"versionNumber": 0}
