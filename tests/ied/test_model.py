"""The served tree is exactly the SCL's, on both engines (8-1: GetNameList, types, values)."""

from __future__ import annotations

from typing import Any

import pytest
from open61850.mms import OBJECT_CLASS_DOMAIN, OBJECT_CLASS_NAMED_VARIABLE, DataAccessError
from open61850.mms.pdu import ObjectName

from agent.iec61850 import FC, BasicType
from agent.ied.engines.open61850.types import to_data, to_native
from agent.ied.values import initial_value


def test_every_logical_device_is_a_domain(live: Any) -> None:
    with live.client() as client:
        names = sorted(client.get_name_list(OBJECT_CLASS_DOMAIN))
        assert names == sorted(device.name for device in live.service.state.model.devices)
        assert "V2G1LD0" in names


def test_every_leaf_of_the_scl_can_be_read_with_its_type(live: Any) -> None:
    model = live.service.state.model
    with live.client() as client:
        for device in model.devices[:2]:
            leaves = [
                (ObjectName(f"{node.name}${leaf.fc}${'$'.join(path)}", device.name), leaf)
                for node in device.nodes
                for path, leaf in node.leaves()
                if leaf.fc is not FC.SE
            ]
            assert len(leaves) > 200
            for start in range(0, len(leaves), 50):
                page = leaves[start : start + 50]
                for (name, leaf), data in zip(
                    page, client.read_many([name for name, _ in page]), strict=True
                ):
                    assert not isinstance(data, DataAccessError), name
                    if leaf.b_type is not BasicType.ENTRY_TIME:
                        native = to_native(leaf.b_type, data)
                        assert type(to_data(leaf.b_type, native)) is type(data), name


def test_configured_values_are_served_as_the_scl_gives_them(live: Any) -> None:
    model = live.service.state.model
    with live.client() as client:
        checked = 0
        for node in model.devices[1].nodes:
            for path, leaf in node.leaves(FC.CF):
                if not leaf.values:
                    continue
                name = ObjectName(f"{node.name}$CF${'$'.join(path)}", model.devices[1].name)
                assert to_native(leaf.b_type, client.read(name)) == initial_value(leaf), name
                checked += 1
        assert checked > 50


def test_the_engines_list_the_same_names(server: Any, station_file: Any, tmp_path: Any) -> None:
    names: list[list[str]] = []
    for engine in ("open61850", "libiec61850"):
        with server(engine, station_file, tmp_path / engine) as live, live.client() as client:
            names.append(
                sorted(
                    f"{domain}/{name}"
                    for domain in client.get_name_list(OBJECT_CLASS_DOMAIN)
                    for name in client.get_name_list(OBJECT_CLASS_NAMED_VARIABLE, domain)
                )
            )
    # 8-1 spells TimeOfEntry, libiec61850 TimeofEntry as Edition 1 did.
    assert sorted(map(str.lower, names[0])) == sorted(map(str.lower, names[1]))


@pytest.mark.parametrize("name", ["V2G1LD0/MMXU9$MX$Hz", "NoSuch/LLN0$ST$Beh", "V2G1LD0/LLN0$ST$X"])
def test_what_does_not_exist_is_refused(live: Any, name: str) -> None:
    with live.client() as client, pytest.raises(DataAccessError):
        client.read(name)
