"""What the commands share: durations, powers, dashes, and one way to end with an error."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final

from agent.errors import AgentError

_UNITS_S: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_UNITS_W: Final = {"w": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9}
_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([a-zA-Z]*)")


def plain_dashes(argv: Sequence[str]) -> list[str]:
    """Turn the dashes that word processors make of `--` back into what was typed."""
    return [re.sub(r"^[–—]+(?=[a-z])", "--", word) for word in argv]


def duration_s(text: str) -> float:
    """`60s`, `50ms`, `10m`, `2h` or plain seconds → seconds."""
    return _quantity(text, _UNITS_S, "s", "a duration such as 60s, 50ms or 10m")


def power_w(text: str) -> float:
    """`5kW`, `500 W`, `-3.5kW` or plain watts → watts."""
    return _quantity(text, _UNITS_W, "w", "a power such as 5kW or 500W")


def _quantity(text: str, units: dict[str, float], default: str, expected: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    unit = match.group(2).lower() or default if match else ""
    if match is None or unit not in units or not math.isfinite(float(match.group(1))):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return float(match.group(1)) * units[unit]


def run_command(main: Callable[[Sequence[str]], int]) -> int:
    """Run a command's body; print an `AgentError` plainly and return its exit code."""
    try:
        return main(plain_dashes(sys.argv[1:]))
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
