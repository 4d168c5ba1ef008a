"""Random quantities of a study file: `0.4`, or a table such as `{ median = 0.4, spread = 1.5 }`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from agent.errors import ConfigurationError, Finding
from agent.study.columns import read_column
from agent.study.grid import Floats


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A distribution; exactly one of the families below is given.

    Attributes:
        low, high: Uniform between them; with another family they bound it.
        mean, sd: Normal.
        median, factor: Log-normal; two thirds lie within median ÷ and × factor.
        values: Each as likely as the others.
        file, column: Measured values: a CSV or Parquet file with that column, such as the
            `latencies.csv` that `v2g-study event` writes.
    """

    low: float = -math.inf
    high: float = math.inf
    mean: float | None = None
    sd: float = 0.0
    median: float | None = None
    factor: float = 1.0
    values: tuple[float, ...] = ()
    file: str = ""
    column: str = "latency_s"

    @property
    def family(self) -> Literal["uniform", "normal", "log-normal", "values", "file", ""]:
        """Which of the families it is; empty where none or several are given."""
        given = {
            "normal": self.mean is not None,
            "log-normal": self.median is not None,
            "values": bool(self.values),
            "file": bool(self.file),
        }
        named = [name for name, there in given.items() if there]
        if not named and math.isfinite(self.low) and math.isfinite(self.high):
            return "uniform"
        return named[0] if len(named) == 1 else ""  # type: ignore[return-value]


Quantity = float | Spread


def draw(quantity: Quantity, count: int, rng: np.random.Generator) -> Floats:
    """Return `count` values, shape (count,)."""
    if not isinstance(quantity, Spread):
        return np.full(count, float(quantity))
    match quantity.family:
        case "uniform":
            values = rng.uniform(quantity.low, quantity.high, count)
        case "normal":
            values = rng.normal(quantity.mean or 0.0, quantity.sd, count)
        case "log-normal":
            spread = rng.normal(0.0, math.log(max(quantity.factor, 1.0)), count)
            values = (quantity.median or 0.0) * np.exp(spread)
        case _:
            values = rng.choice(np.asarray(quantity.values, dtype=np.float64), count)
    result: Floats = np.clip(values, quantity.low, quantity.high)
    return result


def typical(quantity: Quantity) -> float:
    """Return a value in the middle of the distribution."""
    if not isinstance(quantity, Spread):
        return float(quantity)
    return float(np.median(draw(quantity, 2001, np.random.default_rng(0))))


def resolved(quantity: Quantity, folder: Path, where: str) -> Quantity:
    """Return the quantity with its file read, so that workers elsewhere need none.

    Raises:
        ConfigurationError: No family, two of them, or a file that holds no such column.
    """
    if not isinstance(quantity, Spread):
        return quantity
    if not quantity.family or quantity.low > quantity.high:
        hint = "give low and high, mean and sd, median and factor, values, or file"
        raise ConfigurationError((Finding(where, "is not one distribution", hint),))
    if quantity.family != "file":
        return quantity
    values = read_column(folder / quantity.file, quantity.column)
    values = values[np.isfinite(values)]
    if not values.size:
        what = f"{quantity.file} has no value in column {quantity.column}"
        raise ConfigurationError((Finding(where, what),))
    return msgspec.structs.replace(quantity, values=tuple(values.tolist()), file="")
