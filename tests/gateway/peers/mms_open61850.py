"""An MMS client that this project did not write: open61850's.

    python mms_open61850.py HOST PORT IED SECONDS [OPERATE_W]

Reads the frequency twice a second and takes the first free unbuffered report of LD0; prints a JSON
line for everything it sees. With OPERATE_W it also selects and operates `DWGC1.WSpt`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from open61850.data import FloatData, StructureData
from open61850.mms import MmsClient, ObjectName, rcb, report
from open61850.mms.control import ControlError, Origin, operate


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps({"at": time.monotonic(), **fields}, default=str) + "\n")
    sys.stdout.flush()


def numbers(value: Any) -> list[float]:
    """Every number in a nested value, depth first."""
    if isinstance(value, StructureData):
        return [n for item in value.members for n in numbers(item)]
    return [value.value] if isinstance(value, FloatData) else []


def first_unbuffered(client: MmsClient, domain: str) -> ObjectName:
    items = client.get_name_list(0, domain)
    blocks = sorted(i for i in items if i.startswith("LLN0$RP$") and i.count("$") == 2)
    status = rcb.find_free(client, [ObjectName(item, domain) for item in blocks])
    if status is None:
        raise SystemExit(f"no unbuffered report is free among {blocks}")
    return status.rcb


def on_report(message: Any) -> None:
    if report.is_report(message):
        decoded = report.decode_report(message)
        say(
            kind="report",
            rpt_id=decoded.rpt_id,
            data_set=decoded.data_set,
            seq_num=decoded.seq_num,
            values={entry.index: numbers(entry.value) for entry in decoded.entries},
        )


def main(host: str, port: int, ied: str, seconds: float, operate_w: float | None) -> None:
    client = MmsClient.connect(host, port, timeout=30, on_information_report=on_report)
    domains = client.get_name_list(9)
    domain = next(name for name in domains if name.startswith(ied) and name.endswith("LD0"))
    say(kind="ready", domains=domains)
    members = client.get_data_set_members
    block = first_unbuffered(client, domain)
    data_set = client.read(ObjectName(f"{block.item}$DatSet", domain)).value
    listed = members(ObjectName(data_set.split("/")[-1], domain))
    say(kind="data-set", name=data_set, members=[str(member) for member in listed])
    rcb.enable(client, block, rcb.RcbSettings(intg_pd_ms=1000))
    end_s = time.monotonic() + seconds
    operated = operate_w is None
    while time.monotonic() < end_s:
        value = client.read(ObjectName("MMXU1$MX$Hz", domain))
        say(kind="read", hz=numbers(value))
        if not operated and time.monotonic() > end_s - seconds + 1.0:
            operated = True
            _operate(client, domain, float(operate_w or 0.0))
        time.sleep(0.5)
    client.close()


def _operate(client: MmsClient, domain: str, power_w: float) -> None:
    try:
        result = operate(
            client,
            ObjectName("DWGC1$CO$WSpt", domain),
            StructureData([FloatData(power_w)]),
            origin=Origin(2, b"peer"),
            termination_timeout=20,
        )
        say(kind="operated", terminated=result.terminated, model=result.ctl_model)
    except ControlError as error:
        say(kind="operate-failed", reason=str(error))


if __name__ == "__main__":
    host, port, ied, seconds, *rest = sys.argv[1:]
    main(host, int(port), ied, float(seconds), float(rest[0]) if rest else None)
