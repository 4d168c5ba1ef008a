"""Manual pages of every command and of the two configuration files.

    python packaging/manpages.py FOLDER

The commands' pages come from their argument parsers, agent.toml(5) from the settings' types, so
that neither can differ from what the program takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from parsers import commands, options, verbs
from settings_reference import Key, profile_names, tables

SECTIONS = {"v2g-daemon": 8}
SEE_ALSO = (
    ("v2g-ctl", 1), ("v2g-daemon", 8), ("v2g-monitor", 1), ("v2g-client", 1), ("v2g-scl", 1),
    ("v2g-study", 1), ("agent.toml", 5), ("power-profile.conf", 5),
)  # fmt: skip
EXIT_STATUS = (
    ("0", "Done."),
    ("1", "Refused, changed or not as asked; the text says what."),
    ("2, 64", "Wrong arguments."),
    ("69", "The system or the daemon does not give what is needed."),
    ("78", "The configuration cannot be used; every error is printed."),
)


def roff(text: str) -> str:
    """Escape a text for roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def head(name: str, section: int, title: str) -> list[str]:
    """Return the first lines of a page."""
    return [
        f'.TH {name.upper()} {section} "" "v2g\\-agent" "V2G gateway"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(title)}",
    ]


def command_page(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the page of a command with all its verbs."""
    description = parser.description or name
    lines = head(name, SECTIONS.get(name, 1), description.splitlines()[0].rstrip("."))
    lines += [".SH SYNOPSIS", f".B {roff(name)}", roff(_usage(parser, name))]
    lines += [".SH DESCRIPTION", roff(description)]
    lines += [".SH OPTIONS", *_options(parser)]
    if verbs(parser):
        lines.append(".SH VERBS")
        for verb, inner in verbs(parser).items():
            lines += _verb(verb, inner)
    if parser.epilog:
        lines += [".SH EXAMPLES", roff(parser.epilog)]
    lines.append(".SH EXIT STATUS")
    lines += [part for code, text in EXIT_STATUS for part in (".TP", f".B {code}", roff(text))]
    lines += [".SH FILES", ".TP", ".I /etc/v2g/agent.toml", "Configuration."]
    lines += [".TP", ".I /var/log/v2g/stability\\-audit.log", "What was ordered and done."]
    return "\n".join([*lines, *_see_also(name)]) + "\n"


def _usage(parser: argparse.ArgumentParser, name: str) -> str:
    usage = " ".join(parser.format_usage().split())
    return usage.removeprefix("usage:").strip().removeprefix(name).strip()


def _verb(verb: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = [f".SS {roff(verb)}", roff(parser.description or "")]
    lines += _options(parser)
    for inner_verb, inner in verbs(parser).items():
        lines += _verb(f"{verb} {inner_verb}", inner)
    return lines


def _options(parser: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    for action in options(parser):
        if "--help" in action.option_strings:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = ""
        if action.option_strings and action.nargs != 0:
            value = str(action.metavar or (action.dest.upper() if not action.choices else ""))
            if action.choices:
                value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
        text = (action.help or "").replace("%%", "%")
        lines += [".TP", f".B {roff(f'{names} {value}'.strip())}", roff(text) or "\\&"]
    return lines


def _see_also(name: str) -> list[str]:
    others = [f".BR {roff(other)} ({section})" for other, section in SEE_ALSO if other != name]
    return [".SH SEE ALSO", *(f"{line} ," for line in others[:-1]), others[-1]]


def settings_page() -> str:
    """Return agent.toml(5)."""
    lines = head("agent.toml", 5, "configuration of the V2G gateway")
    lines += [
        ".SH DESCRIPTION",
        roff("A TOML file. Every table and key may be left out. Unknown tables and keys, wrong"),
        roff("types and values out of range stop the start with a complete list (exit 78);"),
        ".B v2g\\-ctl check",
        roff("prints the same list. Relative paths start at the file's folder."),
    ]
    for table, text, keys in tables():
        lines += [f".SH [{roff(table)}]", roff(text), *_keys(keys)]
    return "\n".join([*lines, *_see_also("agent.toml")]) + "\n"


def profile_page() -> str:
    """Return power-profile.conf(5)."""
    lines = head("power-profile.conf", 5, "power and battery limits of the site")
    lines += [
        ".SH DESCRIPTION",
        roff("Lines NAME=value; # begins a comment. Nothing that the gateway does leaves this"),
        roff("envelope, whoever orders it. Other names, or values out of range, stop the start."),
        ".SH NAMES",
    ]
    for name, text in profile_names():
        lines += [".TP", f".B {roff(name)}", roff(text)]
    return "\n".join([*lines, *_see_also("power-profile.conf")]) + "\n"


def _keys(keys: Iterable[Key]) -> list[str]:
    lines: list[str] = []
    for key in keys:
        lines += [".TP", f".B {roff(key.name)}", roff(f"{key.kind}; {key.default}. {key.text}")]
    return lines


def write(folder: Path, name: str, section: int, text: str) -> None:
    """Write one page to its folder."""
    path = folder / f"man{section}" / f"{name}.{section}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for command, its_parser in commands():
        write(target, command, SECTIONS.get(command, 1), command_page(command, its_parser))
    write(target, "agent.toml", 5, settings_page())
    write(target, "power-profile.conf", 5, profile_page())
