"""Pin what `pyproject.toml` resolves to today: `make lock`.

Writes `requirements.lock` (what `make run` installs) and `requirements-test.lock` (all of it and
the tests' packages). Names and versions only: which index serves them is the machine's business.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _freeze(packages: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(install, check=True)
        freeze = [python, "-m", "pip", "list", "--format=freeze"]
        listed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    pins = {line for line in listed.split() if re.match(r"[\w.-]+==", line)}
    return sorted((pin for pin in pins if not pin.startswith("pip==")), key=str.lower)


def main() -> int:
    """Resolve twice, once for users and once for tests, and write both locks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["build-system"]["requires"]
    users = [*build, *project["project"]["dependencies"]]
    tests = [*users, *project["project"]["optional-dependencies"]["test"]]
    for name, packages in (("requirements.lock", users), ("requirements-test.lock", tests)):
        (ROOT / name).write_text("\n".join(_freeze(packages)) + "\n")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
