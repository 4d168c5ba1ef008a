"""Tables of numbers in and out: CSV and Parquet by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from agent.errors import ConfigurationError, Finding
from agent.study.grid import Floats

CSV_ENDINGS = (".csv", ".txt")


def read_table(path: Path) -> pa.Table:
    """Return the table in a CSV or Parquet file.

    Raises:
        ConfigurationError: It cannot be read, or is neither.
    """
    try:
        if path.suffix.lower() in CSV_ENDINGS:
            return pa.csv.read_csv(path)
        return pa.parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ConfigurationError((Finding(str(path), str(error).splitlines()[0]),)) from error


def numbers(table: pa.Table, name: str) -> Floats:
    """Return a column as numbers, NaN for null, shape (rows,)."""
    column = table.column(name).cast(pa.float64()).combine_chunks()
    result: Floats = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return result


def read_column(path: Path, name: str) -> Floats:
    """Return one column of a file.

    Raises:
        ConfigurationError: The file or the column is not there, or holds no numbers.
    """
    table = read_table(path)
    if name not in table.column_names:
        known = ", ".join(table.column_names)
        raise ConfigurationError((Finding(str(path), f"no column {name}", f"it has: {known}"),))
    try:
        return numbers(table, name)
    except pa.ArrowException as error:
        raise ConfigurationError((Finding(f"{path}: {name}", str(error)),)) from error


def write_table(path: Path, columns: Mapping[str, NDArray[Any] | list[Any]]) -> None:
    """Write columns of equal length; the form by the ending of the name."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if path.suffix.lower() in CSV_ENDINGS:
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path, compression="zstd")
