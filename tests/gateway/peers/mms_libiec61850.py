"""An MMS client that this project did not write: libiec61850's, through pyiec61850.

    python mms_libiec61850.py HOST PORT IED SECONDS

Browses LD0, reads `MMXU1.Hz.mag.f` and takes a buffered report; prints a JSON line for everything
it sees.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pyiec61850.mms import MMSClient
from pyiec61850.mms.reporting import RCBConfig, ReportClient

MX, ST = 1, 0


def say(**fields: Any) -> None:
    print(json.dumps({"at": time.monotonic(), **fields}, default=str), flush=True)


def main(host: str, port: int, ied: str, seconds: float, block: str) -> None:
    client = MMSClient()
    client.connect(host, port)
    device = next(d for d in client.get_logical_devices() if d == f"{ied}LD0")
    say(kind="ready", nodes=client.get_logical_nodes(device))
    reports = ReportClient(client)
    reference = f"{device}/LLN0.BR.{block}"
    config = reports.get_rcb_values(reference)
    reports.install_report_handler(
        reference,
        config.rpt_id or reference,
        lambda r: say(kind="report", seq_num=r.seq_num, entries=[str(e.value) for e in r.entries]),
    )
    reports.set_rcb_values(reference, RCBConfig(integrity_period=1000, trigger_options=1 | 8 | 16))
    reports.enable_reporting(reference)
    reports.trigger_gi_report(reference)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        say(kind="read", hz=client.read_value(f"{device}/MMXU1.Hz.mag.f", MX))
        time.sleep(0.5)
    reports.disable_reporting(reference)
    client.disconnect()


if __name__ == "__main__":
    host, port, ied, seconds, block = sys.argv[1:]
    main(host, int(port), ied, float(seconds), block)
