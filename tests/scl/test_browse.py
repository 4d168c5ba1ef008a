"""A libiec61850 client browses the served sample IED and sees what the expansion says."""

import ctypes
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from open61850.server import IedModel as ServedModel
from open61850.server import MmsServer

from agent.errors import SclError
from agent.iec61850 import FC, BasicType
from agent.iec61850.basic_types import INTEGER_RANGE, OCTET_LENGTH, STRING_LENGTH
from agent.scl import DataAttribute, DataObject, expand, read_scl

pytestmark = pytest.mark.peer
CONTROL_BLOCKS = {"RP", "BR", "GO", "MS", "US", "LG"}
# MmsType of libiec61850.
STRUCTURE, BOOLEAN, BIT_STRING, INTEGER, UNSIGNED, FLOAT, OCTETS, VISIBLE = 1, 2, 3, 4, 5, 6, 7, 8
MMS_STRING, UTC_TIME = 13, 14
FCS = ("ST", "MX", "SP", "SV", "CF", "DC", "SG", "SE", "SR", "OR", "BL", "EX", "CO")
FC_NUMBER = {name: number for number, name in enumerate(FCS)}


class Client:
    """The calls of libiec61850's client that browsing needs."""

    def __init__(self) -> None:
        folder = Path(sysconfig.get_paths()["purelib"]) / "pyiec61850_ng.libs"
        libraries = sorted(folder.glob("libiec61850*.so*"))
        if not libraries:
            pytest.skip("pyiec61850-ng is not installed")
        self.lib = ctypes.CDLL(str(libraries[0]))
        for name in (
            "IedConnection_create", "IedConnection_getServerDirectory", "LinkedList_getNext",
            "LinkedList_getData", "IedConnection_getLogicalDeviceVariables",
            "IedConnection_getVariableSpecification",
            "MmsVariableSpecification_getChildSpecificationByIndex",
        ):  # fmt: skip
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.lib.MmsVariableSpecification_getName.restype = ctypes.c_char_p
        self.error = ctypes.c_int()
        self.connection = ctypes.c_void_p(self.lib.IedConnection_create())

    def connect(self, port: int) -> None:
        self._call("IedConnection_connect", b"127.0.0.1", port)

    def devices(self) -> list[str]:
        return self._texts(self._call("IedConnection_getServerDirectory", False))

    def variables(self, device: str) -> set[str]:
        listed = self._call("IedConnection_getLogicalDeviceVariables", device.encode())
        return set(self._texts(listed))

    def specification(self, reference: str, fc: str) -> int:
        arguments = (reference.encode(), FC_NUMBER[fc])
        return self._call("IedConnection_getVariableSpecification", *arguments)

    def leaves(self, specification: int, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
        """Dotted name and MmsType of every leaf of a type."""
        pointer = ctypes.c_void_p(specification)
        kind = self.lib.MmsVariableSpecification_getType(pointer)
        if kind != STRUCTURE:
            yield ".".join(path), kind
            return
        for index in range(self.lib.MmsVariableSpecification_getSize(pointer)):
            child = self.lib.MmsVariableSpecification_getChildSpecificationByIndex(pointer, index)
            name = self.lib.MmsVariableSpecification_getName(ctypes.c_void_p(child)).decode()
            yield from self.leaves(child, (*path, name))

    def close(self) -> None:
        self.lib.IedConnection_close(self.connection)
        self.lib.IedConnection_destroy(self.connection)

    def _call(self, name: str, *arguments: object) -> int:
        call = getattr(self.lib, name)
        result = call(self.connection, ctypes.byref(self.error), *arguments)
        assert self.error.value == 0, (name, arguments, self.error.value)
        return int(result or 0)

    def _texts(self, linked: int) -> list[str]:
        texts = []
        element = self.lib.LinkedList_getNext(ctypes.c_void_p(linked))
        while element:
            data = self.lib.LinkedList_getData(ctypes.c_void_p(element))
            texts.append(ctypes.string_at(data).decode())
            element = self.lib.LinkedList_getNext(ctypes.c_void_p(element))
        return texts


@pytest.fixture(scope="module")
def client(tmp_path_factory, station):
    path = tmp_path_factory.mktemp("scl") / "station.scd"
    path.write_bytes(station)
    server = MmsServer(ServedModel.from_scl(path, "V2G2"), host="127.0.0.1", port=0)
    server.start()
    browsing = Client()
    browsing.connect(server.port)
    yield browsing
    browsing.close()
    server.stop()


@pytest.fixture(scope="module")
def model(station):
    return expand(read_scl(station), "V2G2")


def names(device):
    """MMS names of the data of a device; SE implies SG, and a SettingControl the SGCB."""
    found = set()
    for node in device.nodes:
        for path, leaf in node.leaves():
            for fc in (FC.SE, FC.SG) if leaf.fc is FC.SE else (leaf.fc,):
                parts = [node.name, fc, *path]
                found.update("$".join(parts[:n]) for n in range(2, len(parts) + 1))
        if node.setting_control is not None:
            found.add(f"{node.name}$SP")
    return found


def data_names(variables: set[str]) -> set[str]:
    """What a client lists without logical nodes and control blocks."""
    return {
        name
        for name in variables
        if "$" in name and name.split("$")[1] not in CONTROL_BLOCKS and "SGCB" not in name
    }


def kind(leaf: DataAttribute) -> int:
    """The MmsType of a basic type (IEC 61850-8-1, 8.1.2)."""
    if leaf.b_type in INTEGER_RANGE:
        return UNSIGNED if leaf.b_type.endswith("U") else INTEGER
    if leaf.b_type is BasicType.UNICODE_255:
        return MMS_STRING
    if leaf.b_type in STRING_LENGTH:
        return VISIBLE
    if leaf.b_type in OCTET_LENGTH:
        return OCTETS
    return {
        BasicType.BOOLEAN: BOOLEAN,
        BasicType.FLOAT32: FLOAT,
        BasicType.ENUM: INTEGER,
        BasicType.TIMESTAMP: UTC_TIME,
    }.get(leaf.b_type, BIT_STRING)


def test_the_same_logical_devices(client, model):
    assert sorted(client.devices()) == sorted(device.name for device in model.devices)


def test_the_same_variables_in_every_device(client, model):
    for device in model.devices:
        assert data_names(client.variables(device.name)) == names(device)


def test_the_same_types_and_order_in_every_data_object(client, model):
    compared = 0
    for device in model.devices[:2]:
        for node in device.nodes:
            for do in node.objects:
                for fc in dict.fromkeys(leaf.fc for _, leaf in do.leaves()):
                    reference = f"{device.name}/{node.name}.{do.name}"
                    specification = client.specification(reference, fc)
                    assert list(client.leaves(specification)) == expected(do, fc), reference
                    compared += 1
    assert compared > 200


def expected(do: DataObject, fc: FC) -> list[tuple[str, int]]:
    return [(".".join(path), kind(leaf)) for path, leaf in do.leaves(fc)]


@pytest.mark.corpus
def test_ieds_of_the_corpus_browse_as_they_expand(corpus):
    """The first served IED of every fourth file, served by open61850; devices that have data."""
    compared = 0
    for path in corpus[::4]:
        if path.stat().st_size > 200_000:
            continue
        try:
            scl = read_scl(path)
            model = next((m for m in (expand(scl, i.name) for i in scl.ieds) if m.devices), None)
            served = None if model is None else ServedModel.from_scl(path, model.ied_name)
        except (SclError, ValueError):
            continue
        if model is not None and served is not None:
            browsed = {name: data for name, data in browse(served).items() if data}
            expanded = {device.name: names(device) for device in model.devices}
            assert browsed == {name: data for name, data in expanded.items() if data}, path
            compared += 1
    assert compared > 20


def browse(served: ServedModel) -> dict[str, set[str]]:
    """Names of the data of every logical device that a client sees."""
    server = MmsServer(served, host="127.0.0.1", port=0)
    server.start()
    client = Client()
    client.connect(server.port)
    try:
        return {device: data_names(client.variables(device)) for device in client.devices()}
    finally:
        client.close()
        server.stop()
