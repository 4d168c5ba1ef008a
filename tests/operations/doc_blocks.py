"""The commands in the pages of `docs/`, as their readers would type them.

```sh     blocks hold commands, a line each (a backslash continues one)
```console blocks hold `$ command` lines, each with its output below
Both may use sudo, variables before a command, pipes, `&&`, redirections and here-documents.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(sh|bash|shell|console)\b[^\n]*\n(.*?)^```", re.S | re.M)
_HERE = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n.*?^\s*\1$", re.S | re.M)
_ENDS = {"|", "||", "&&", ";", "&"}
_REDIRECTIONS = {">", ">>", "<", "2>", "&>", ">&", "<<"}


def pages() -> list[str]:
    """Names of the pages that hold commands."""
    return [page.name for page in sorted(DOCS.glob("*.md")) if list(commands(page.name))]


def commands(page: str) -> Iterator[list[str]]:
    """Yield the words of every command of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for kind, block in _BLOCK.findall(text):
        yield from _of_block(block, prompted=kind == "console")


def _of_block(block: str, *, prompted: bool) -> Iterator[list[str]]:
    plain = _HERE.sub("", block).replace("\\\n", " ")
    for line in plain.splitlines():
        words = line.strip()
        if prompted:
            if not words.startswith("$ "):
                continue
            words = words[2:]
        if words and not words.startswith("#"):
            yield from _of_line(words)


def _of_line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    command: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ENDS:
            if bare := _bare(command):
                yield bare
            command = []
        else:
            command.append(word)


def _bare(words: list[str]) -> list[str]:
    """A command without its redirections, variables and sudo."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in _REDIRECTIONS:
            skip = not skip
        else:
            kept.append(word)
    while kept and (re.match(r"[A-Za-z_]\w*=", kept[0]) or kept[0] in ("sudo", "-E", "env")):
        kept.pop(0)
        if kept[:1] == ["-u"]:
            kept = kept[2:]
    if kept and "/" in kept[0]:
        kept[0] = kept[0].rpartition("/")[2]
    return kept
