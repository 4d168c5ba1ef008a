"""Telemetry kept on the gateway, and how to get it out again."""

from agent.hmi.history.batch import Batch, EventRow, EvseRow, MeasurementRow
from agent.hmi.history.export import write_csv, write_json, write_parquet
from agent.hmi.history.reader import COLUMNS, Table, history_file, read
from agent.hmi.history.recorder import Recorder
from agent.hmi.history.store import Bounds, HistoryStore

__all__ = [
    "COLUMNS",
    "Batch",
    "Bounds",
    "EventRow",
    "EvseRow",
    "HistoryStore",
    "MeasurementRow",
    "Recorder",
    "Table",
    "history_file",
    "read",
    "write_csv",
    "write_json",
    "write_parquet",
]
