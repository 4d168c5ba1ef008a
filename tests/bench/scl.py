"""Reading a 120 MB SCD: ours against lxml alone, open61850, py61850 and iec61850.

Figures, of one run, each reader in its own process: seconds of processor time, which a busy
machine does not stretch, and peak megabytes.

* ``scl.file_mb``: size of the file, a real SCD's IEDs repeated until it is large (the largest
  file of SCL_CORPUS, else our sample station).
* ``scl.ours_s``, ``scl.ours_mb``: read and expand one IED, publishers ready to subscribe to.
* ``scl.lxml_s``: lxml parses the same file and does nothing else.
* ``scl.open61850_s``: open61850 parses it.
* ``scl.py61850_s``, ``scl.iec61850_s``: the same of these, installed for the benchmark only into
  ``build/bench-peers`` (left out where that is not possible).
* ``scl.ours_to_lxml``, ``scl.open61850_to_ours``: ratios, which is what holds on any machine.
* ``scl.check_ms``: every rule on the sample station.

SCL_BENCH_MB sets another size.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from agent.scl import read_scl
from agent.scl.check import check

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "scl" / "sample-station.scd"
PEERS = ROOT / "build" / "bench-peers"
PEER_PACKAGES = ("py61850==0.4.0", "iec61850==0.14.0")
TIMEOUT_S = 300.0

READERS = {
    "lxml": "from lxml import etree\ndef read(): return etree.parse(FILE)",
    "ours": (
        "from agent.scl import expand, read_scl\n"
        "def read(): return expand(read_scl(FILE, ieds={IED}), IED)"
    ),
    "open61850": "from open61850.scl import load_ieds\ndef read(): return load_ieds(FILE)",
    "iec61850": "import iec61850\ndef read(): return iec61850.load_scl(FILE)",
    "py61850": (
        "from py61850.scl.document import SclDocument\ndef read(): return SclDocument.parse(FILE)"
    ),
}
PROGRAM = """
import json, resource, sys, time
FILE, IED = sys.argv[1:3]
{reader}
start_s = time.process_time()
kept = read()
used_s = time.process_time() - start_s
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([used_s, peak_mb]))
"""


def run() -> dict[str, float]:
    """Figures as the module says."""
    figures = {"scl.check_ms": _check_ms()}
    size_mb = float(os.environ.get("SCL_BENCH_MB", "120"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.scd"
        ied = write_large(path, int(size_mb * 1e6))
        figures["scl.file_mb"] = path.stat().st_size / 1e6
        for name, reader in READERS.items():
            measured = _measure(name, reader, path, ied)
            if measured is not None:
                figures[f"scl.{name}_s"], figures[f"scl.{name}_mb"] = measured
    figures["scl.ours_to_lxml"] = figures["scl.ours_s"] / figures["scl.lxml_s"]
    figures["scl.open61850_to_ours"] = figures["scl.open61850_s"] / figures["scl.ours_s"]
    return figures


def _check_ms() -> float:
    start_s = time.perf_counter()
    check(read_scl(SAMPLE))
    return (time.perf_counter() - start_s) * 1000


def _measure(name: str, reader: str, path: Path, ied: str) -> tuple[float, float] | None:
    python = sys.executable if "61850" not in name or "open" in name else _peer_python()
    if python is None:
        return None
    command = [python, "-c", PROGRAM.format(reader=reader), str(path), ied]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"scl: {name} left out: {error}", file=sys.stderr)
        return None
    used_s, peak_mb = json.loads(done.stdout.splitlines()[-1])
    return float(used_s), float(peak_mb)


def _peer_python() -> str | None:
    """The interpreter of the benchmark's own environment, made on first use."""
    python = PEERS / "bin" / "python"
    marker = PEERS / ".installed"
    if marker.exists():
        return str(python)
    try:
        venv.create(PEERS, with_pip=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, *PEER_PACKAGES], check=True, timeout=120, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"scl: py61850 and iec61850 left out: {error}", file=sys.stderr)
        return None
    marker.touch()
    return str(python)


def write_large(path: Path, size: int) -> str:
    """Write a file of that size from a real one; the name of an IED in its middle."""
    text = _largest().read_text(encoding="utf-8-sig")
    ieds = [match.span() for match in re.finditer(r"<IED .*?</IED>", text, re.DOTALL)]
    names = re.findall(r'<IED [^>]*?name="([^"]*)"', text)
    connected = re.findall(r"<ConnectedAP .*?</ConnectedAP>", text, re.DOTALL)
    last = text.rindex("</ConnectedAP>") + len("</ConnectedAP>")
    block = text[ieds[0][0] : ieds[-1][1]]
    copies = max(2, (size - len(text)) // (len(block) + sum(map(len, connected))))
    pattern = re.compile("|".join(re.escape(f'"{name}"') for name in names))

    def renamed(part: str, number: int) -> str:
        return pattern.sub(lambda match: f'{match[0][:-1]}_{number}"', part)

    with path.open("w", encoding="utf-8") as file:
        file.write(text[:last])
        for number in range(1, copies):
            file.write(renamed("".join(connected), number))
        file.write(text[last : ieds[-1][1]])
        for number in range(1, copies):
            file.write("\n" + renamed(block, number))
        file.write(text[ieds[-1][1] :])
    return f"{names[0]}_{copies // 2}"


def _largest() -> Path:
    corpus = os.environ.get("SCL_CORPUS", "")
    files = [p for p in Path(corpus).rglob("*.scd") if p.is_file()] if corpus else []
    return max(files, key=lambda path: path.stat().st_size, default=SAMPLE)
