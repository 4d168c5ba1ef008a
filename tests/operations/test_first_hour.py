"""docs/first-hour.md, run as it stands against a gateway on an embedded site.

Blocks: `console` holds a command and its output, `console live` an output whose values change from
run to run, `console fails` a command that must be refused; `python` with `output` a program.
`WRITE_DOCS=1` writes the outputs of this run into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli.embedded import Site, SiteOptions, free_port, write_configuration
from agent.cli.gateway import GatewayClient
from agent.errors import AgentError
from tests.gateway.conftest import wait_for
from tests.operations.doc_blocks import DOCS

PAGE = DOCS / "first-hour.md"
REPOSITORY = DOCS.parent
BLOCK = re.compile(r"^```(console|python|output)( live| fails)?\n(.*?)^```", re.S | re.M)
LINES = 14
"""Longer outputs are cut in the page, with an ellipsis."""
PORT = "10102"


@dataclass(frozen=True)
class Place:
    """Where the site of this run is, and how the page writes it."""

    folder: Path
    port: int

    def real(self, text: str) -> str:
        return text.replace(PORT, str(self.port)).replace("site/", f"{self.folder}/")

    def shown(self, text: str) -> str:
        plain = text.replace(str(self.port), PORT).replace(f"{self.folder}/", "site/")
        return plain.replace(str(self.folder), "site")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hour")
    options = SiteOptions(folder, ocpp_port=free_port(), mms_port=free_port())
    bus = f"virtual:{folder}/bus"
    with (folder / "site.log").open("wb") as log:
        site = Site(options, write_configuration(options, bus), bus, log)
        site.start()
        try:
            wait_for(lambda: _is_ready(site), 120, 0.5)
            yield Place(folder, options.mms_port)
        finally:
            site.stop()


def _is_ready(site: Site) -> bool:
    import argparse

    try:
        client = GatewayClient(argparse.Namespace(socket=site.socket, config=site.config))
        snapshot = client.snapshot()
        client.close()
    except AgentError:
        return False
    plugged = sum(view.status.plugged for view in snapshot.evses)
    ied = any(worker.name == "ied" and worker.age_s < 2 for worker in snapshot.workers)
    return ied and plugged >= 4 and snapshot.loop.mode == "droop"


def skeleton(text: str) -> list[str]:
    """Lines without numbers, identities and widths: what does not change from run to run."""
    plain = re.sub(r"[0-9a-f]{8,}|[-+]?\d+(\.\d+)?", "#", text)
    return [re.sub(r"\s+", " ", line).strip() for line in plain.splitlines() if line.strip()]


def run(command: str, place: Place) -> subprocess.CompletedProcess[str]:
    name, *arguments = shlex.split(place.real(command))
    module = f"agent.cli.{name.removeprefix('v2g-')}"
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True, text=True, cwd=REPOSITORY, check=False, timeout=200,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def cut(text: str) -> str:
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "\n".join(lines[:LINES] + (["…"] if len(lines) > LINES else []))


@pytest.mark.peer
@pytest.mark.timeout(600)
def test_the_first_hour_is_as_the_page_says(place):
    text = PAGE.read_text(encoding="utf-8")
    program = ""
    for kind, how, body in BLOCK.findall(text):
        if kind == "python":
            program = body
            continue
        if kind == "output":
            done = subprocess.run(
                [sys.executable, "-c", place.real(program)],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            command, documented, expected = "", body, 0
        else:
            command, _, documented = body.removeprefix("$ ").partition("\n")
            done = run(command, place)
            expected = 1 if how == " fails" else 0
        assert bool(done.returncode) == bool(expected), f"{command}\n{done.stdout}{done.stderr}"
        seen = cut(place.shown(done.stdout + done.stderr))
        if os.environ.get("WRITE_DOCS") == "1":
            first = f"$ {command}\n" if command else ""
            text = text.replace(
                f"```{kind}{how}\n{body}```", f"```{kind}{how}\n{first}{seen}\n```", 1
            )
        else:
            compare(documented, seen, live=how == " live")
        time.sleep(0.2)
    if os.environ.get("WRITE_DOCS") == "1":
        PAGE.write_text(text, encoding="utf-8")


def compare(documented: str, seen: str, *, live: bool) -> None:
    """Every line of the page appears; of a live output, the first line."""
    assert documented.strip(), "the page has no output: WRITE_DOCS=1 writes it"
    known = skeleton(seen)
    wanted = [line for line in skeleton(documented) if line != "…"]
    if live:
        assert wanted[0].split()[0] == known[0].split()[0]
    else:
        assert [line for line in wanted if line not in known] == []
