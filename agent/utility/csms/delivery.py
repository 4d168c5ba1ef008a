"""The journal's records to the CSMS: in order, each until it is answered."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from loguru import logger

from agent.ocpp import CallError, Payload, Version
from agent.utility.context import Context
from agent.utility.csms import wording2, wording16
from agent.utility.csms.connection import LOST, CsmsConnection
from agent.utility.csms.journal import Journal
from agent.utility.csms.records import Happening, Record

ATTEMPTS: Final = 3
"""Refusals after which a record is put aside (TransactionMessageAttempts)."""
RETRY_S: Final = 5.0
"""Pause after a refusal, times the number of attempts (TransactionMessageRetryInterval)."""


class _NoRemoteIdError(Exception):
    """A 1.6 CSMS never gave the transaction a number."""


async def deliver(
    connection: CsmsConnection, journal: Journal, news: asyncio.Event, context: Context
) -> None:
    """Deliver until the connection ends."""
    attempts = 0
    while not connection.closed.is_set():
        news.clear()
        item = journal.first()
        if item is None:
            await news.wait()
            continue
        number, record = item
        try:
            await _send(connection, journal, number, record)
        except CallError as error:
            if error.code in LOST:
                continue  # it stays first; the connection notices when it is dead
            attempts += 1
            if attempts < ATTEMPTS:
                await asyncio.sleep(RETRY_S * attempts)
                continue
            _put_aside(journal, context, number, record, str(error))
        except _NoRemoteIdError:
            why = "this CSMS never gave the transaction a number"
            _put_aside(journal, context, number, record, why)
        except sqlite3.Error as error:
            # Better twice than never: it is sent again once the disk takes the note.
            logger.error("a delivered message cannot be noted: {}", error)
            await asyncio.sleep(RETRY_S)
            continue
        else:
            context.count("csms_delivered")
        attempts = 0


async def _send(connection: CsmsConnection, journal: Journal, number: int, record: Record) -> None:
    version = connection.version
    if version is not Version.V16:
        answer = await connection.call("TransactionEvent", wording2.transaction(version, record))
        _note_refusal(record, answer.get("idTokenInfo"))
        journal.delivered(number)
        return
    name = record.transaction_id
    remote_id = journal.remote_id(name)
    match record.happening:
        case Happening.STARTED:
            answer = await connection.call("StartTransaction", wording16.start(record))
            _note_refusal(record, answer.get("idTagInfo"))
            journal.delivered(number, name, int(answer["transactionId"]))
        case Happening.UPDATED:
            payload = wording16.meter_values(record.evse, record.meter, remote_id)
            if payload["meterValue"][0]["sampledValue"]:
                await connection.call("MeterValues", payload)
            journal.delivered(number)
        case Happening.ENDED:
            if remote_id is None:
                raise _NoRemoteIdError
            await connection.call("StopTransaction", wording16.stop(record, remote_id))
            journal.delivered(number)
            journal.forget_remote(name)


def _put_aside(journal: Journal, context: Context, number: int, record: Record, why: str) -> None:
    logger.error("the CSMS does not take {} of {}: {}", record.happening, record.evse, why)
    context.count("csms_put_aside")
    context.audit("refusal", "csms", f"{record.happening} of {record.transaction_id}: {why}")
    journal.refused(number, record, why)


def _note_refusal(record: Record, info: Payload | None) -> None:
    if info is not None and info.get("status") != "Accepted":
        logger.warning("EVSE {}: the CSMS says {} to its token", record.evse, info.get("status"))
