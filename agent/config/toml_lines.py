"""Where a key of a TOML file stands: `tomllib` gives values without their lines."""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[{1,2})\s*([\w.\-]+)\s*\]{1,2}\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*([\w\-]+)\s*=")
_QUOTES: Final = re.compile(r'"""|\'\'\'')


def key_lines(text: str) -> dict[str, int]:
    """Return the line, counted from 1, of every table and key: ``value[2].unit``, ``groups.fast``.

    Keys of inline tables have no line of their own; `line_of` gives that of their table.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, in_text = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        quoted = len(_QUOTES.findall(line)) % 2 == 1
        if in_text or quoted:
            if not in_text and (key := _KEY.match(line)):
                lines.setdefault(table + key[1], number)
            in_text ^= quoted
            continue
        if header := _HEADER.match(line):
            name = header[2]
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                name = f"{name}[{counts[name]}]"
            lines.setdefault(name, number)
            table = f"{name}."
        elif key := _KEY.match(line):
            lines.setdefault(table + key[1], number)
    return lines


def line_of(lines: dict[str, int], key: str) -> int | None:
    """Return the line of a key, or of the nearest table around it; None where neither is known.

    Args:
        lines: From `key_lines`.
        key: As findings name it: ``value[2].unit``.
    """
    while key:
        if key in lines:
            return lines[key]
        shorter = re.sub(r"(\.[^.\[\]]+|\[\d+\])$", "", key)
        if shorter == key:
            return None
        key = shorter
    return None
