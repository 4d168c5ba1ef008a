"""File services of the libiec61850 engine: a folder that is read, and nothing else."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import CFUNCTYPE, c_bool, c_char_p, c_uint32, c_void_p
from pathlib import Path
from typing import Any

import pytest

from agent.ied.front.tls import plain_rights
from tests.ied.conformance.native_client import NativeClient

FILE_HANDLER = CFUNCTYPE(c_bool, c_void_p, c_void_p, c_uint32)
"""(parameter, octets, count) → go on."""
TEXT = b"disturbance\n"


class Files:
    """File services of libiec61850's client; every answer is its IedClientError."""

    def __init__(self, port: int) -> None:
        self.client = NativeClient(port)
        lib: Any = self.client._lib
        lib.IedConnection_getFile.restype = c_uint32
        lib.IedConnection_getFile.argtypes = (c_void_p, c_void_p, c_char_p, FILE_HANDLER, c_void_p)
        lib.IedConnection_deleteFile.restype = None
        lib.IedConnection_deleteFile.argtypes = (c_void_p, c_void_p, c_char_p)
        self._lib = lib

    def get(self, name: str) -> tuple[int, bytes]:
        parts: list[bytes] = []

        def take(_parameter: Any, octets: int, count: int) -> bool:
            parts.append(ctypes.string_at(octets, count))
            return True

        error = ctypes.c_int(0)
        self._lib.IedConnection_getFile(
            self.client._connection, ctypes.byref(error), name.encode(), FILE_HANDLER(take), None
        )
        return error.value, b"".join(parts)

    def delete(self, name: str) -> int:
        error = ctypes.c_int(0)
        self._lib.IedConnection_deleteFile(
            self.client._connection, ctypes.byref(error), name.encode()
        )
        return error.value

    def listed(self) -> int:
        error = ctypes.c_int(0)
        self._lib.IedConnection_getFileDirectory(self.client._connection, ctypes.byref(error), None)
        return error.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "note.txt").write_bytes(TEXT)
    (tmp_path / "secret.txt").write_bytes(b"outside")
    return tmp_path


@pytest.fixture
def serve(server: Any, station_file: Path, folder: Path) -> Any:
    def serving(role: str) -> Any:
        return server(
            "libiec61850", station_file, folder, admit=plain_rights(role), files=folder / "files"
        )

    return serving


@pytest.fixture
def files(serve: Any) -> Iterator[Files]:
    with serve("ENGINEER") as live:
        files = Files(live.port)
        yield files
        files.client.close()


def test_a_file_is_read_and_neither_deleted_nor_anything_outside_shown(
    files: Files, folder: Path
) -> None:
    assert files.listed() == 0
    assert files.get("note.txt") == (0, TEXT)
    assert files.delete("note.txt") != 0
    assert (folder / "files" / "note.txt").read_bytes() == TEXT
    for name in ("none.txt", "../secret.txt", str(folder / "secret.txt")):
        error, content = files.get(name)
        assert (error != 0, content) == (True, b"")


def test_a_role_without_the_right_sees_no_files(serve: Any) -> None:
    with serve("VIEWER") as live:
        files = Files(live.port)
        assert files.listed() != 0
        assert files.get("note.txt")[1] == b""
        files.client.close()
