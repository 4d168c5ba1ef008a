"""The audit log: what it costs a control tick, and how soon an acknowledgement can go out.

Figures:
    audit.append_us: Median cost to the caller of a record that nobody waits for.
    audit.append_p99_us: 99th percentile of the same, with the writer thread at work.
    audit.durable_p50_ms, audit.durable_p99_ms: From order to a record that fdatasync has seen.
    audit.burst_per_s: Durable records a second when many senders wait at once.
    audit.verify_per_s: Records that a verification checks a second.
    audit.line_bytes: Size of a typical record.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from agent.audit import AuditLog, Kind, Ticket, verify

_KEY: Final = bytes(range(32))
_QUICK: Final = 5000
_DURABLE: Final = 300
_BURST: Final = 2000


def run() -> dict[str, float]:
    """Measure on this machine's disk; about three seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stability-audit.log"
        log = AuditLog(path, _KEY)
        quick = [_quick(log) for _ in range(_QUICK)]
        durable = [_durable(log) for _ in range(_DURABLE)]
        burst_s = _burst(log)
        log.close()
        started_s = time.perf_counter()
        report = verify(path, _KEY)
        verify_s = time.perf_counter() - started_s
        size = path.stat().st_size
    return {
        "audit.append_us": median(quick) * 1e6,
        "audit.append_p99_us": quantiles(quick, n=100)[98] * 1e6,
        "audit.durable_p50_ms": median(durable) * 1e3,
        "audit.durable_p99_ms": quantiles(durable, n=100)[98] * 1e3,
        "audit.burst_per_s": _BURST / burst_s,
        "audit.verify_per_s": report.records / verify_s,
        "audit.line_bytes": size / report.records,
    }


def _quick(log: AuditLog) -> float:
    started_s = time.perf_counter()
    log.append(Kind.ALARM, "process bus", "0x14", durable=False, f_hz=59.4)
    return time.perf_counter() - started_s


def _durable(log: AuditLog) -> float:
    started_s = time.perf_counter()
    log.append(Kind.COMMAND, "scada", "watt-setpoint", "order", target="site", value_w=5e3)
    return time.perf_counter() - started_s


def _burst(log: AuditLog) -> float:
    started_s = time.perf_counter()
    tickets: list[Ticket] = [
        log.append_async(Kind.COMMAND, "scada", "watt-setpoint", target="site")
        for _ in range(_BURST)
    ]
    for ticket in tickets:
        ticket.wait()
    return time.perf_counter() - started_s
