"""The area's key-value bucket in JetStream, and how it is opened."""

from __future__ import annotations

from typing import Final

from nats.aio.client import Client
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from agent.utility.bus.fleet_model import Value, ValueT, decode, encode

ANSWER_S: Final = 5.0


class Bucket:
    """Typed reading and writing of the bucket's keys."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store

    @classmethod
    async def open(cls, client: Client, name: str, *, create: bool) -> Bucket:
        """Open the bucket; a coordinator makes it where it is missing.

        Raises:
            nats.errors.Error: There is no bucket, or no permission.
        """
        stream = client.jetstream(timeout=ANSWER_S)
        try:
            return cls(await stream.key_value(name))
        except BucketNotFoundError:
            if not create:
                raise
        config = KeyValueConfig(bucket=name, history=1, storage=StorageType.FILE, direct=True)
        return cls(await stream.create_key_value(config))

    async def read(self, kind: type[ValueT], key: str) -> ValueT | None:
        """Return the value of a key; None where there is none, or something else."""
        return (await self.read_with_revision(kind, key))[0]

    async def read_with_revision(self, kind: type[ValueT], key: str) -> tuple[ValueT | None, int]:
        """Return the value of a key and its revision; 0 where there is none."""
        try:
            entry = await self._store.get(key)
        except KeyNotFoundError:
            return None, 0
        return decode(kind, entry.value), entry.revision or 0

    async def write(self, key: str, value: Value) -> None:
        """Set a key."""
        await self._store.put(key, encode(value))

    async def replace(self, key: str, value: Value, revision: int) -> bool:
        """Set a key if it still has this revision (0: if it is new); False if it has not."""
        try:
            await self._store.update(key, encode(value), last=revision)
        except KeyWrongLastSequenceError:
            return False
        return True

    async def read_all(self, kind: type[ValueT], prefix: str) -> dict[str, ValueT]:
        """Return every value whose key starts with `prefix`, by the rest of the key."""
        found: dict[str, ValueT] = {}
        watcher = await self._store.watch(f"{prefix}>", ignore_deletes=True)
        try:
            # The library has no types here; None follows the last key that there is now.
            while (entry := await watcher.updates(timeout=ANSWER_S)) is not None:  # type: ignore[no-untyped-call]
                value = decode(kind, entry.value)
                if value is not None:
                    found[entry.key.removeprefix(prefix)] = value
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]
        return found
