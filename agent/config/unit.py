"""What systemd gives to one process: its keys and its folder (systemd.exec(5)).

The configuration names a key where the operator put it, a folder that no process of the gateway
may read. systemd copies the files of a role's folder into memory that only this process reads;
there they are called `tls_NAME` (LoadCredential=). In the same way `state_dir` is this process's
own folder below the configured one (StateDirectory=). So one configuration serves all processes,
with systemd and without.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from agent.config.settings import Gateway

PREFIX: Final = "tls_"


def credential(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that this process was given for `path`; `path` itself where there is none."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder or not path.name:
        return path
    for name in (PREFIX + path.name, path.name):
        given = Path(folder) / name
        if os.access(given, os.R_OK) and given.is_file():
            return given
    return path


def with_state_folder(gateway: Gateway, environment: Mapping[str, str] = os.environ) -> Gateway:
    """Return `[gateway]` with the state folder that this process's unit gives it, if any."""
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    return msgspec.structs.replace(gateway, state_dir=Path(given)) if given else gateway
