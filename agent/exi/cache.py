"""Compiled schemas on disk, so that a start does not parse XSD files.

A cache file is data (MessagePack of `model.Schema`), named after a digest of every XSD file and
of the format. It is written to a temporary name and moved into place; it is read only when it
belongs to us or to root, nobody else may write it, and its own digest fits. Anything else is
compiled again: a damaged cache costs a tenth of a second, never a start.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import ConfigurationError, Finding
from agent.exi.model import FORMAT, Schema

_DIGEST_SIZE: Final = hashlib.sha256().digest_size
_MAX_SIZE: Final = 8 << 20

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Schema] = msgspec.msgpack.Decoder(Schema)


def load_schema(entry: Path, cache: Path | None) -> Schema:
    """Return the compiled schema of `entry`, from the cache folder where it is there.

    Args:
        entry: The root XSD file.
        cache: Folder for compiled schemas; None compiles every time.

    Raises:
        ConfigurationError: The XSD files cannot be read or are not supported.
    """
    if cache is None:
        return _compile(entry)
    file = cache / f"exi-{entry.stem}-{_fingerprint(entry)[:32]}.msgpack"
    schema = _read(file)
    if schema is None:
        schema = _compile(entry)
        _write(file, schema)
    return schema


def _compile(entry: Path) -> Schema:
    from agent.exi.xsd import read_schema  # lxml is only needed, and loaded, on a cache miss

    return read_schema(entry)


def _fingerprint(entry: Path) -> str:
    """Digest of all XSD files that `entry` can import: those beside it and one folder up."""
    digest = hashlib.sha256(f"{FORMAT}:{entry.name}".encode())
    try:
        for folder in (entry.parent, entry.parent.parent):
            for path in sorted(folder.glob("*.xsd")):
                digest.update(path.name.encode() + b"\0")
                digest.update(path.read_bytes())
    except OSError as error:
        raise ConfigurationError((Finding(str(entry), f"cannot be read: {error}"),)) from error
    return digest.hexdigest()


def _read(file: Path) -> Schema | None:
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not _is_ours(status) or status.st_size > _MAX_SIZE:
                return None
            data = stream.read()
    except OSError:
        return None
    digest, payload = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return None


def _is_ours(status: os.stat_result) -> bool:
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(status.st_mode) and not shared and status.st_uid in (0, os.geteuid())


def _write(file: Path, schema: Schema) -> None:
    """Store for the next start; a folder that cannot be written costs only that start's time."""
    payload = _encoder.encode(schema)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".exi-")
        with os.fdopen(descriptor, "wb") as stream:  # mkstemp made it 0600
            stream.write(hashlib.sha256(payload).digest() + payload)
        Path(name).replace(file)
    except OSError:
        return
