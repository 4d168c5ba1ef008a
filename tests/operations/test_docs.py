"""Every command in `docs/`: ours are parsed, and run where they only read; others are known tools.

`doc_blocks.py` says which blocks of a page hold commands. A page that gets its first one is
tested from then on.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.audit import AuditLog
from tests.operations.doc_blocks import DOCS, commands, pages

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = pages()
ALL_PAGES = sorted(page.name for page in DOCS.glob("*.md"))
SYSTEM_TOOLS = {
    "aa-status", "apparmor_parser", "apt", "cat", "cd", "chmod", "chown", "chrt", "cp", "curl",
    "dask",
    "df", "dmesg", "echo", "export", "git", "grep", "head", "install", "ip", "ip6tables-restore",
    "iptables-restore", "journalctl", "jq", "less", "ls", "make", "mkdir", "mosquitto",
    "mosquitto_pub", "mosquitto_sub", "mv", "nats", "nats-server", "nft", "node", "npm", "openssl",
    "ping", "pip", "printf", "ps", "rm", "scp", "sed", "sleep", "sort", "ss", "ssh", "sudoedit",
    "systemctl", "systemd-analyze", "systemd-tmpfiles", "tail", "tee", "test", "timedatectl",
    "tr", "uname", "watch", "wget",
}  # fmt: skip
PYTHONS = {"python", "python3"}
MATRIX = (
    "0x14", "Frequency Out of Bounds", "isolation of the sense", "inductive loads", "0x22",
    "ping -s 1500", "MTU", "red LED", "ground fault", "direct current", "multimeter",
    "protective earth", "Payload Signature Invalid", "timedatectl set-ntp true", "heartbeats",
    "cellular", "BMS", "contactor", "firmware", "LVRT", "revert to charging",
    "power-quality analyser",
    "MAX_CYCLES_PER_DAY", "State of health",
)  # fmt: skip


OURS = [(page, words) for page in PAGES for words in commands(page) if words[0].startswith("v2g-")]
MODULES = [
    (page, words)
    for page in PAGES
    for words in commands(page)
    if words[0] in PYTHONS and words[1:2] == ["-m"]
]


@pytest.fixture(scope="module")
def parsers():
    sys.path.insert(0, str(REPOSITORY / "packaging"))
    try:
        import parsers as module
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.parametrize(("page", "words"), OURS, ids=lambda value: " ".join(value)[:60])
def test_our_commands_are_accepted_as_they_stand(parsers, page, words):
    name, *arguments = words
    module = importlib.import_module(f"agent.cli.{name.removeprefix('v2g-')}")
    parsers.parser_of(name, module.main).parse_args(arguments)


@pytest.mark.parametrize(("page", "words"), MODULES, ids=lambda value: " ".join(value)[:60])
def test_modules_and_files_of_python_commands_exist(page, words):
    name, *arguments = words[2:]
    assert importlib.util.find_spec(name) is not None
    if name == "pytest":
        files = [word.split("::")[0] for word in arguments if word.startswith("tests")]
        assert [file for file in files if not (REPOSITORY / file).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_other_commands_are_known_tools(page):
    others = {words[0] for words in commands(page) if not words[0].startswith("v2g-")}
    assert others - SYSTEM_TOOLS - PYTHONS == set()


@pytest.mark.parametrize("page", ALL_PAGES)
def test_files_and_links_of_a_page_exist(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+\.md)", text):
        assert (DOCS / target).exists(), target
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in headings, anchor


@pytest.mark.parametrize("words", MATRIX)
def test_the_troubleshooting_page_covers_the_matrix(words):
    text = " ".join((DOCS / "troubleshooting.md").read_text(encoding="utf-8").split())
    assert words in text


def test_every_alarm_code_is_explained():
    from agent.errors import AlarmCode

    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert [str(code) for code in AlarmCode if f"| {code} |" not in text] == []


READING = [
    ("audit", "show"),
    ("audit", "show", "--kind", "refusal", "--since", "2026-01-31T12:00"),
    ("audit", "export", "--format", "csv"),
    ("firewall",),
    ("firewall", "--format", "iptables"),
    ("check",),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_commands_that_only_read_run_as_a_user_would_run_them(tmp_path, arguments):
    (tmp_path / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    configuration = tmp_path / "agent.toml"
    configuration.write_text(
        '[gateway]\nlog_dir = "log"\npower_profile = "power-profile.conf"\n'
        f'[scl]\nfile = "{REPOSITORY}/scl/sample-station.scd"\n[stations]\nhost = "127.0.0.1"\n'
    )
    log = AuditLog(tmp_path / "log" / "stability-audit.log", bytes(32))
    log.append("refusal", "scada", "order")
    log.close()
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.ctl", *arguments, "--config", configuration],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout
