"""An MMS client that this project did not write: libiec61850's, through pyiec61850.

    python mms_libiec61850.py HOST PORT IED SECONDS REPORT

Reads `MMXU1.Hz.mag.f` twice a second and takes the buffered report REPORT of LD0; prints a JSON
line for everything it sees.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

import pyiec61850.pyiec61850 as lib

NOT_INCLUDED = 0
PR_SET_PDEATHSIG = 1


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps({"at": time.monotonic(), **fields}, default=str) + "\n")
    sys.stdout.flush()


def floats(value: Any) -> list[float]:
    """Every FLOAT32 in a nested MmsValue, depth first."""
    kind = lib.MmsValue_getType(value)
    if kind == lib.MMS_FLOAT:
        return [lib.MmsValue_toFloat(value)]
    if kind in (lib.MMS_STRUCTURE, lib.MMS_ARRAY):
        size = lib.MmsValue_getArraySize(value)
        return [f for i in range(size) for f in floats(lib.MmsValue_getElement(value, i))]
    return []


class Printer(lib.RCBHandler):
    """Called by the library's own thread for every report."""

    def trigger(self) -> None:
        report = self._client_report
        values = lib.ClientReport_getDataSetValues(report)
        included = {
            i: floats(lib.MmsValue_getElement(values, i))
            for i in range(lib.MmsValue_getArraySize(values))
            if lib.ClientReport_getReasonForInclusion(report, i) != NOT_INCLUDED
        }
        say(kind="report", rpt_id=lib.ClientReport_getRptId(report), values=included)


def subscribe(connection: Any, reference: str) -> tuple[Any, ...]:
    """Configure and enable the report; the caller keeps what is returned alive."""
    block = lib.ClientReportControlBlock_create(reference)
    _, error = lib.IedConnection_getRCBValues(connection, reference, block)
    if error:
        raise SystemExit(f"{reference}: error {error}")
    handler, subscriber = Printer(), lib.RCBSubscriber()
    subscriber.setIedConnection(connection)
    subscriber.setRcbReference(reference)
    subscriber.setRcbRptId(lib.ClientReportControlBlock_getRptId(block))
    subscriber.setEventHandler(handler)
    subscriber.subscribe()
    lib.ClientReportControlBlock_setTrgOps(
        block, lib.TRG_OPT_DATA_CHANGED | lib.TRG_OPT_INTEGRITY | lib.TRG_OPT_GI
    )
    lib.ClientReportControlBlock_setIntgPd(block, 1000)
    settings = lib.RCB_ELEMENT_TRG_OPS | lib.RCB_ELEMENT_INTG_PD
    lib.IedConnection_setRCBValues(connection, block, settings, True)
    lib.ClientReportControlBlock_setRptEna(block, True)
    _, error = lib.IedConnection_setRCBValues(connection, block, lib.RCB_ELEMENT_RPT_ENA, True)
    say(kind="subscribed", error=error)
    return block, handler, subscriber


def connect(host: str, port: int) -> Any:
    connection = lib.IedConnection_create()
    _, error = lib.IedConnection_connect(connection, host, port)
    if error:
        raise SystemExit(f"{host}:{port}: error {error}")
    return connection


def read(connection: Any, ied: str, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        hz, error = lib.IedConnection_readFloatValue(
            connection, f"{ied}LD0/MMXU1.Hz.mag.f", lib.IEC61850_FC_MX
        )
        say(kind="read", hz=hz, error=error)
        time.sleep(0.5)
    lib.IedConnection_release(connection)


def main(host: str, port: int, ied: str, seconds: float, report: str) -> None:
    # A process for each: the binding keeps Python's lock while it waits for an answer, which does
    # not come while a report waits for the lock.
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        read(connect(host, port), ied, seconds)
        os._exit(0)
    connection = connect(host, port)
    say(kind="ready")
    kept = subscribe(connection, f"{ied}LD0/LLN0.BR.{report}")
    time.sleep(seconds)
    lib.IedConnection_release(connection)
    sys.stdout.flush()
    os._exit(0 if kept else 1)  # the library's own order of destruction is not ours to guess


if __name__ == "__main__":
    host, port, ied, seconds, report = sys.argv[1:]
    main(host, int(port), ied, float(seconds), report)
