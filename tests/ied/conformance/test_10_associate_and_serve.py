"""Ass, Srv, Dset, Tm and Ft (IEC 61850-10 Ed. 2, server conformance)."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import pytest

from tests.ied.conformance.native_library import FILE_HANDLER

HZ = "V2G1LD0/MMXU1$MX$Hz"
SETTING = "V2G1EVSE1/DWGC1$SP$RvrtTms$setVal"


def test_sAss1_associate_and_release(bench: Any) -> None:
    """An association is accepted, used and released; the next one is accepted too."""
    for _ in range(3):
        client = bench.connect()
        assert client.read(HZ)
        client.close()
    bench.until(lambda: bench.live.front.admission.associated == 0)


def test_sAss3_as_many_associations_as_claimed(bench: Any) -> None:
    """The claimed number of clients is served at the same time."""
    clients = [bench.connect() for _ in range(4)]
    assert all(client.read(HZ) for client in clients)


def test_sAssN3_one_association_more_is_refused(bench: Any) -> None:
    """One client more is refused and those that are connected do not notice."""
    clients = [bench.connect() for _ in range(4)]
    with pytest.raises((OSError, ConnectionError)):
        bench.connect()
    assert all(client.read(HZ) for client in clients)
    clients[0].close()
    bench.until(lambda: bench.live.front.admission.associated == 3)
    assert bench.connect().read(HZ)


def test_sAssN4_a_cut_connection_is_forgotten(bench: Any) -> None:
    """After a cut the server frees the association."""
    client = bench.connect()
    client.read(HZ)
    client.abort()
    bench.until(lambda: bench.live.front.admission.associated == 0)


def test_sSrv1_server_directory(bench: Any) -> None:
    """GetServerDirectory lists the logical devices of the SCL."""
    wanted = {device.name for device in bench.live.service.state.model.devices}
    found = set(bench.connect().devices())
    assert found in (wanted, {name.removeprefix("V2G1") for name in wanted})


def test_sSrv2_logical_device_directory(bench: Any) -> None:
    """GetLogicalDeviceDirectory lists the logical nodes of the SCL."""
    model = bench.live.service.state.model
    names = bench.connect().names("V2G1EVSE1")
    nodes = {name for name in names if "$" not in name}
    assert nodes == {node.name for node in model.device("V2G1EVSE1").nodes}


def test_sSrv3_logical_node_directory(bench: Any) -> None:
    """GetLogicalNodeDirectory lists every data object of the SCL."""
    model = bench.live.service.state.model
    names = bench.connect().names("V2G1EVSE1")
    for node in model.device("V2G1EVSE1").nodes:
        found = {
            n.split("$")[2] for n in names if n.startswith(f"{node.name}$") and n.count("$") > 1
        }
        assert {do.name for do in node.objects} <= found


def test_sSrv4_data_directory(bench: Any) -> None:
    """GetDataDirectory lists the attributes of a data object with their constraints."""
    names = set(bench.connect().names("V2G1LD0"))
    assert {"MMXU1$MX$Hz$mag$f", "MMXU1$MX$Hz$q", "MMXU1$MX$Hz$t", "MMXU1$CF$Hz$units"} <= names


def test_sSrv5_get_data_values(bench: Any) -> None:
    """GetDataValues returns value, quality and time."""
    bench.live.show(f_hz=49.75)
    magnitude, quality, stamp = bench.connect().read(HZ)
    assert magnitude == [pytest.approx(49.75)]
    assert quality == "0" * 13
    assert abs(stamp - time.time()) < 60


def test_sSrv7_set_data_values(bench: Any) -> None:
    """SetDataValues changes a set point."""
    client = bench.connect()
    for value in (60, 0):
        client.write(SETTING, value)
        assert client.read(SETTING) == value


def test_sSrvN1_unknown_objects(bench: Any, kit: Any) -> None:
    """What does not exist is answered with object-non-existent."""
    client = bench.connect()
    for name in ("V2G1LD0/MMXU1$MX$None", "V2G1LD0/NONE1$ST$Beh", "NONE/LLN0$ST$Beh"):
        with pytest.raises(kit.Refused) as refused:
            client.read(name)
        assert refused.value.code in (10, -1)


def test_sSrvN3_write_of_read_only_data(bench: Any, kit: Any) -> None:
    """Status, measurands and fixed configuration cannot be written."""
    client = bench.connect()
    for name, value in (
        ("V2G1LD0/MMXU1$MX$Hz$mag$f", 1.0),
        ("V2G1LD0/LLN0$ST$Beh$stVal", 1),
        ("V2G1EVSE1/DWGC1$CF$WSpt$ctlModel", 1),
    ):
        with pytest.raises(kit.Refused) as refused:
            client.write(name, value)
        assert refused.value.code == 3


def test_sSrvN4_write_of_another_type_or_range(bench: Any, kit: Any) -> None:
    """A value of another type or outside its range is refused and changes nothing."""
    client = bench.connect()
    before = client.read(SETTING)
    with pytest.raises(kit.Refused) as refused:
        client.write(SETTING, 1.5)
    assert refused.value.code == 7
    with pytest.raises(kit.Refused):
        client.write("V2G1EVSE1/DLFW1$SP$HzStr$setMag$f", float("nan"))
    assert client.read(SETTING) == before
    assert client.alive


def test_sDs1_data_set_directory(bench: Any) -> None:
    """GetDataSetDirectory lists the members in the order of the SCL."""
    client = bench.connect()
    assert "LLN0$Measurements" in client.data_sets("V2G1LD0")
    model = bench.live.service.state.model
    wanted = [
        f"V2G1LD0/{member.reference.mms_item}"
        for member in model.device("V2G1LD0").node("LLN0").data_sets[0].members
    ]
    assert client.members("V2G1LD0/LLN0$Measurements") == wanted


def test_sDsN1_unknown_data_set(bench: Any, kit: Any) -> None:
    """A data set that does not exist is refused."""
    client = bench.connect()
    with pytest.raises((kit.Refused, OSError, Exception)) as refused:
        client.members("V2G1LD0/LLN0$None")
    assert not isinstance(refused.value, AssertionError)
    assert client.alive


def test_sTm1_time_of_values(bench: Any) -> None:
    """t is the UTC time of the change, with a synchronised clock."""
    client = bench.connect()
    before = time.time()
    bench.live.show(f_hz=50.4)
    stamp = client.read(f"{HZ}$t")
    assert before - 1 < stamp < time.time() + 1


def test_sTmN1_loss_of_the_clock(bench: Any) -> None:
    """Without a synchronised clock LTMS says so."""
    client = bench.connect()
    bench.live.show(clock_synchronised=False)
    assert client.read("V2G1LD0/LTMS1$ST$TmSyn$stVal") == 0
    bench.live.show(clock_synchronised=True)
    assert client.read("V2G1LD0/LTMS1$ST$TmSyn$stVal") == 2


def file_client(bench: Any) -> Any:
    """A client of file services, where engine and client have them."""
    if bench.engine != "libiec61850":
        pytest.skip("the open61850 engine has no file services")
    if bench.client != "libiec61850":
        pytest.skip("open61850's client has no file services")
    return bench.connect()


def test_sFt1_file_directory(bench: Any) -> None:
    """GetServerDirectory(FILE) lists the files, where the engine claims file services."""
    client = file_client(bench)
    error = ctypes.c_int(0)
    found = client._lib.IedConnection_getFileDirectory(
        client._connection, ctypes.byref(error), None
    )
    assert error.value == 0
    assert client._lib.LinkedList_getNext(found)


def get_file(client: Any, name: str) -> tuple[int, bytes]:
    """IedClientError and content."""
    parts: list[bytes] = []

    def take(_parameter: Any, octets: int, count: int) -> bool:
        parts.append(ctypes.string_at(octets, count))
        return True

    error = ctypes.c_int(0)
    client._lib.IedConnection_getFile(
        client._connection, ctypes.byref(error), name.encode(), FILE_HANDLER(take), None
    )
    return error.value, b"".join(parts)


def test_sFt2_get_file(bench: Any) -> None:
    """GetFile brings the octets of a file."""
    assert get_file(file_client(bench), "note.txt") == (0, b"disturbance\n")


def test_sFtN1_files_that_are_not_shown(bench: Any) -> None:
    """A file that does not exist, or lies outside the folder, is refused."""
    client = file_client(bench)
    for name in ("none.txt", "../state/ied-values.json", "/etc/hostname"):
        error, content = get_file(client, name)
        assert error != 0
        assert content == b""
    assert client.read(HZ)


def test_sFtN4_files_cannot_be_deleted(bench: Any) -> None:
    """DeleteFile is refused: the folder is read only."""
    client = file_client(bench)
    error = ctypes.c_int(0)
    client._lib.IedConnection_deleteFile(client._connection, ctypes.byref(error), b"note.txt")
    assert error.value != 0
    assert get_file(client, "note.txt")[0] == 0
