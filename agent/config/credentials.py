"""Keys that systemd hands to one process (systemd.exec(5), LoadCredential=).

The configuration names a key where the operator put it, a folder that no process of the gateway
may read. systemd copies the files of a role's folder into memory that only this process reads;
there they are called `tls_NAME`. So one configuration serves both with systemd and without.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "tls_"


def credential(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that this process was given for `path`; `path` itself where there is none."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder or not path.name:
        return path
    for name in (PREFIX + path.name, path.name):
        given = Path(folder) / name
        if given.is_file():
            return given
    return path
