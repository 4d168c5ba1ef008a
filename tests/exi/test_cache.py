"""The disk cache of compiled schemas: fast, and never trusted further than its owner."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.exi.cache import load_schema

ENTRY = "iso15118_20/V2G_CI_AC.xsd"


@pytest.fixture
def entry(schemas: Path) -> Path:
    return schemas / ENTRY


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_the_second_load_is_the_same_schema_from_disk(
    entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_schema(entry, tmp_path)
    monkeypatch.setattr("agent.exi.cache._compile", lambda _entry: pytest.fail("compiled again"))
    assert load_schema(entry, tmp_path) == first
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "writable"])
def test_a_doubtful_cache_is_compiled_again(entry: Path, tmp_path: Path, damage: str) -> None:
    schema = load_schema(entry, tmp_path)
    file = only_file(tmp_path)
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "truncate":
        del data[len(data) // 2 :]
    elif damage == "empty":
        data.clear()
    file.write_bytes(data)
    if damage == "writable":
        file.write_bytes(b"x" * 32 + bytes(data))
        file.chmod(0o666)
    assert load_schema(entry, tmp_path) == schema


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_another_user_is_not_read(entry: Path, tmp_path: Path) -> None:
    schema = load_schema(entry, tmp_path)
    file = only_file(tmp_path)
    os.chown(file, 65534, 65534)
    assert load_schema(entry, tmp_path) == schema
    assert only_file(tmp_path).stat().st_uid == 0  # it was replaced by ours


def test_a_changed_schema_has_another_cache_file(schemas: Path, tmp_path: Path) -> None:
    copy = tmp_path / "schemas"
    shutil.copytree(schemas, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    cache = tmp_path / "cache"
    load_schema(copy / ENTRY, cache)
    types = copy / "iso15118_20" / "V2G_CI_CommonTypes.xsd"
    types.write_text(types.read_text().replace('maxOccurs="10"', 'maxOccurs="9"', 1))
    load_schema(copy / ENTRY, cache)
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(entry: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert load_schema(entry, blocked / "cache").documents


def test_a_missing_schema_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"V2G_CI_AC\.xsd"):
        load_schema(tmp_path / ENTRY, None)


def test_a_missing_import_stops_the_start_with_its_line(schemas: Path, tmp_path: Path) -> None:
    (tmp_path / "iso15118_20").mkdir()
    shutil.copy(schemas / ENTRY, tmp_path / ENTRY)
    with pytest.raises(ConfigurationError, match=r"V2G_CI_AC\.xsd:\d+: V2G_CI_CommonTypes\.xsd"):
        load_schema(tmp_path / ENTRY, None)


def test_an_unsupported_construct_stops_the_start_with_its_line(tmp_path: Path) -> None:
    xsd = tmp_path / "odd.xsd"
    xsd.write_text(
        '<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:x">\n'
        '<complexType name="T"><all><element name="a" type="string"/></all></complexType>\n'
        "</schema>\n"
    )
    with pytest.raises(ConfigurationError, match=r"odd\.xsd:2: .*all is not supported"):
        load_schema(xsd, None)
