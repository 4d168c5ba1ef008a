"""Bash completion of every command, made from the argument parsers.

python packaging/completion.py FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from parsers import commands, options, verbs

TEMPLATE = """\
# Completion of {name} for bash. Made from its argument parser.
_{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local path="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{paths}        esac
    done
    local words="" files=0
    case "$path" in
{cases}    esac
    if [ "$files" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    fi
}}
complete -F _{function} {name}
"""


def completion(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the script for one command."""
    tree = list(_tree(parser, ""))
    paths = "".join(f'            "{path}") path="{path}" ;;\n' for path, _ in tree if path)
    cases = "".join(_case(path, each) for path, each in tree)
    return TEMPLATE.format(
        name=name,
        function=name.replace("-", "_"),
        paths=paths or "            *) ;;\n",
        cases=cases,
    )


def _tree(
    parser: argparse.ArgumentParser, path: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield path, parser
    for verb, inner in verbs(parser).items():
        yield from _tree(inner, f"{path} {verb}")


def _case(path: str, parser: argparse.ArgumentParser) -> str:
    words = [flag for action in options(parser) for flag in action.option_strings]
    words += verbs(parser)
    lines = [f'        "{path}")\n            words="{" ".join(words)}"\n']
    lines += [
        f'            case "$previous" in {"|".join(action.option_strings)}) {reply} ;; esac\n'
        for action in options(parser)
        if action.option_strings and (reply := _reply(action))
    ]
    return "".join(lines) + "            ;;\n"


def _reply(action: argparse.Action) -> str:
    """What may follow an option: its choices, a file, or anything."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return f'words="{" ".join(str(choice) for choice in action.choices)}"'
    return "files=1" if action.type is Path else 'words=""'


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for command, its_parser in commands():
        (folder / command).write_text(completion(command, its_parser), encoding="utf-8")
