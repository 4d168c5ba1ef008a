"""Calls that pass through: a station's question to the CSMS, and the CSMS's call to a station."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

import orjson
from loguru import logger

from agent.messages import Message, StationAnswer, StationCall
from agent.ocpp import (
    Answered,
    CallError,
    CallReceived,
    ErrorCode,
    Failed,
    Payload,
    schemas,
)
from agent.ocpp.der import DerType, read_control
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.dialect import AskUpstream
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.station import Station

ANSWER_S: Final = 3.0
"""Time that the CSMS has before the local list decides; a driver waits at the station."""
MAX_WAITING: Final = 10_000

UP: Final = frozenset({
    "DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification",
    "NotifyCustomerInformation", "NotifyDisplayMessages", "NotifyEvent", "NotifyMonitoringReport",
    "NotifyReport", "PublishFirmwareStatusNotification", "ReportChargingProfiles",
    "ReportDERControl", "SecurityEventNotification", "SignedFirmwareStatusNotification",
})  # fmt: skip
"""Messages of stations that the CSMS is shown as well."""

DOWN: Final = frozenset({
    "CancelReservation", "CertificateSigned", "ChangeAvailability", "ChangeConfiguration",
    "ClearCache", "ClearDERControl", "ClearDisplayMessage", "ClearVariableMonitoring",
    "CustomerInformation", "DataTransfer", "DeleteCertificate", "ExtendedTriggerMessage",
    "GetBaseReport", "GetCertificateChainStatus", "GetChargingProfiles", "GetCompositeSchedule",
    "GetConfiguration", "GetDERControl", "GetDiagnostics", "GetDisplayMessages",
    "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog", "GetMonitoringReport",
    "GetReport", "GetTransactionStatus", "GetVariables", "InstallCertificate", "PublishFirmware",
    "RemoteStopTransaction", "RequestStopTransaction", "ReserveNow", "Reset", "SendLocalList",
    "SetDERControl", "SetDisplayMessage", "SetMonitoringBase", "SetMonitoringLevel",
    "SetNetworkProfile", "SetVariableMonitoring", "SetVariables", "SignedUpdateFirmware",
    "TriggerMessage", "UnlockConnector", "UnpublishFirmware", "UpdateFirmware",
})  # fmt: skip
"""Calls that may pass to a station. None orders power: that is the control's alone."""


@dataclass(frozen=True, slots=True)
class PassTag:
    """Rides on a call from above."""

    request_id: str
    asked: Payload


@dataclass(frozen=True, slots=True)
class _Question:
    connection: Connection
    message_id: str
    action: str
    ask: AskUpstream
    deadline_s: float


class Passage:
    """Keeps track of what passes.

    Args:
        tell: Sends a message to the control, which routes it.
    """

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)
        self._questions: dict[str, _Question] = {}

    def ask(
        self, connection: Connection, call: CallReceived, ask: AskUpstream, at: Instant
    ) -> None:
        """Ask the CSMS; the station waits, but not long."""
        if len(self._questions) >= MAX_WAITING:
            connection.session.answer(call.message_id, ask.fallback())
            return
        request_id = self._send_up(connection.station, call)
        self._questions[request_id] = _Question(
            connection, call.message_id, call.action, ask, at.mono_s + ANSWER_S
        )

    def inform(self, connection: Connection, call: CallReceived) -> None:
        """Show the CSMS what a station said; nobody waits for an answer."""
        self._send_up(connection.station, call)

    def answer(self, answer: StationAnswer) -> None:
        """The CSMS answered a station's question."""
        question = self._questions.pop(answer.request_id, None)
        if question is None:
            return
        payload = question.ask.fallback()
        if not answer.error:
            try:
                payload = _usable(question, answer.payload)
            except (orjson.JSONDecodeError, CallError) as error:
                logger.warning("the CSMS's answer to {} cannot be used: {}", question.action, error)
        question.connection.session.answer(question.message_id, payload)
        question.connection.flush()

    def call(self, connection: Connection | None, call: StationCall) -> None:
        """Carry a call from above to a station."""
        try:
            if connection is None:
                self._failed(call.request_id, call.station, "the station is not connected")
            elif call.action not in DOWN:
                self._failed(call.request_id, call.station, f"{call.action} does not pass through")
            else:
                payload = orjson.loads(call.payload)
                if call.action == "SetDERControl":
                    schemas.check_request(connection.station.version, call.action, payload)
                    read_control(payload)
                connection.call(call.action, payload, tag=PassTag(call.request_id, payload))
        except (CallError, orjson.JSONDecodeError) as error:
            self._failed(call.request_id, call.station, str(error))

    def answered(self, station: Station, tag: PassTag, event: Answered) -> None:
        """A station answered a call from above."""
        _mirror_der(station, tag.asked, event)
        payload = orjson.dumps(event.payload)
        self._tell(StationAnswer(tag.request_id, station.identity, payload))

    def failed(self, station: Station, tag: PassTag, event: Failed) -> None:
        """A station refused a call from above, or did not answer."""
        self._failed(tag.request_id, station.identity, f"{event.code}: {event.description}")

    def expire(self, now_s: float) -> None:
        """Decide here what the CSMS did not decide in time."""
        for request_id, question in tuple(self._questions.items()):
            if now_s >= question.deadline_s:
                self.answer(StationAnswer(request_id, "", error="Timeout"))

    def _send_up(self, station: Station, call: CallReceived) -> str:
        request_id = f"{self._prefix}-{next(self._numbers)}"
        self._tell(
            StationCall(
                request_id,
                station.identity,
                call.action,
                orjson.dumps(call.payload),
                from_station=True,
                protocol=station.version.subprotocol,
            )
        )
        return request_id

    def _failed(self, request_id: str, station: str, error: str) -> None:
        self._tell(StationAnswer(request_id, station, error=error))


def _usable(question: _Question, answer: bytes) -> Payload:
    """Return the CSMS's answer once it is one that the station may be given."""
    payload = orjson.loads(answer)
    if not isinstance(payload, dict):
        raise CallError(ErrorCode.TYPE_CONSTRAINT_VIOLATION, "the answer is not an object")
    schemas.check_response(question.connection.station.version, question.action, payload)
    question.ask.adopt(payload)
    return payload


def _mirror_der(station: Station, asked: Payload, event: Answered) -> None:
    """Keep the register as the station's: what it accepted is what it holds."""
    if event.payload.get("status") != "Accepted":
        return
    match event.request.action:
        case "SetDERControl":
            station.der.set(read_control(asked))
        case "ClearDERControl":
            kind = asked.get("controlType")
            station.der.clear(
                asked["isDefault"], DerType(kind) if kind else None, asked.get("controlId")
            )
