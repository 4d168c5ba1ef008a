"""Telemetry as CSV (RFC 4180) and as Parquet, in chunks: a year fits in little memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from agent.hmi.history.reader import COLUMNS, Table

Chunks = Iterable[Sequence[tuple[Any, ...]]]


def write_csv(table: Table, chunks: Chunks, file: IO[str]) -> int:
    """Write a header line and the rows; an unknown value is empty. Return the number of rows."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS[table])
    count = 0
    for chunk in chunks:
        writer.writerows([_text(value) for value in row] for row in chunk)
        count += len(chunk)
    return count


def write_json(table: Table, chunks: Chunks, file: IO[str]) -> int:
    """Write an object a row, one a line; an unknown value is null. Return the number of rows."""
    count = 0
    for chunk in chunks:
        for row in chunk:
            file.write(orjson.dumps(dict(zip(COLUMNS[table], row, strict=True))).decode() + "\n")
        count += len(chunk)
    return count


def write_parquet(table: Table, chunks: Chunks, path: Path) -> int:
    """Write the rows with the types that the values have; return the number of rows."""
    # Here, so that the worker does not load a library of 100 MB that it never needs.
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"evse_id": pa.string(), "quality": pa.string(), "online": pa.bool_()}
    kinds |= dict.fromkeys(("kind", "source", "text"), pa.string())
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS[table]])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for chunk in chunks:
            columns = [
                pa.array(column, type=field.type)
                for column, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(chunk)
    return count


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value
