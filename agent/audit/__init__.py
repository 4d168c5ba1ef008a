"""The tamper-evident `stability-audit.log`: who ordered what, why, and what became of it.

One JSON object a line, chained by HMAC-SHA256, only ever appended to. `AuditLog` writes it from a
thread of its own, so that a control tick never waits for a disk; `verify` finds every change made
without the key; `read_records` shows it without one.
"""

from agent.audit.log import AuditLog
from agent.audit.reader import log_files, read_records
from agent.audit.record import Head, Kind, Record, head_of_integers, parse_heads
from agent.audit.ticket import Ticket
from agent.audit.verify import Report, verify

__all__ = [
    "AuditLog",
    "Head",
    "Kind",
    "Record",
    "Report",
    "Ticket",
    "head_of_integers",
    "log_files",
    "parse_heads",
    "read_records",
    "verify",
]
