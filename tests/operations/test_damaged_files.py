"""State files that a disk damaged: a worker starts without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import strict_json
from agent.hmi import records
from agent.ied import assignment
from agent.ied import store as ied_store
from agent.processbus.events.store import list_events
from agent.utility.bus import member
from agent.utility.bus.fleet_model import decode as decode_shared
from agent.utility.store import read_private
from agent.vehicles.stations import memory

DAMAGED = (b"", b"{", b"[]", b'{"share": "\x80"}', b'{"\xff": 1}', b"\x00" * 64)
READERS: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "devices of the EVSEs": (assignment._read, {}),
    "settings by SCADA": (ied_store._read, {}),
    "last share of the region": (member._load, member.Memory()),
    "profiles and tokens": (lambda path: read_private(path, dict[str, int]), None),
    "events": (lambda path: list_events(path.parent), ()),
    "scores": (records._json, None),
    "stations": (memory._read, {}),
    "shared by the region": (lambda path: decode_shared(dict[str, int], path.read_bytes()), None),
}


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("what", READERS)
def test_a_damaged_file_is_read_as_none(tmp_path: Path, what: str, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    read, nothing = READERS[what]
    assert read(path) == nothing


@pytest.mark.parametrize("data", DAMAGED)
def test_what_is_no_json_has_one_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        strict_json.decode(data, dict[str, str])
