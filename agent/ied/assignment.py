"""Which EVSE stands behind which logical device.

Fixed by the configuration where it says so; every other EVSE takes the first free device when it
first appears and keeps it, over restarts too, because SCADA's displays are bound to references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from loguru import logger

from agent import strict_json


class Assignment:
    """Logical device instance ↔ EVSE.

    Args:
        devices: Instances that stand for one EVSE each, in the order of the model.
        fixed: Instance → EVSE as configured.
        store: File that remembers the others; None remembers nothing.
    """

    def __init__(
        self, devices: Sequence[str], fixed: Mapping[str, str], store: Path | None
    ) -> None:
        self._devices = tuple(devices)
        self._store = store
        self._fixed = dict(fixed)
        self._evse_of: dict[str, str] = {}
        remembered = {} if store is None else _read(store)
        for device, evse_id in {**remembered, **fixed}.items():
            if device in self._devices and evse_id not in self._evse_of.values():
                self._evse_of[device] = evse_id
        self._device_of = {evse_id: device for device, evse_id in self._evse_of.items()}
        self.unassigned: set[str] = set()
        """EVSEs that found no free device."""

    def evse(self, device: str) -> str | None:
        """EVSE behind a device, None while there is none."""
        return self._evse_of.get(device)

    def device(self, evse_id: str) -> str | None:
        """Device that stands for an EVSE."""
        return self._device_of.get(evse_id)

    def admit(self, evse_ids: Iterable[str]) -> None:
        """Give every new EVSE a device, in the order of their names."""
        new = sorted(set(evse_ids) - self._device_of.keys() - self.unassigned)
        if not new:
            return
        free = (d for d in self._devices if d not in self._evse_of and d not in self._fixed)
        for evse_id in new:
            device = next(free, None)
            if device is None:
                logger.warning("no logical device is left for {}", evse_id)
                self.unassigned.add(evse_id)
            else:
                self._evse_of[device] = evse_id
                self._device_of[evse_id] = device
        self._save()

    def _save(self) -> None:
        if self._store is None:
            return
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._store.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(self._evse_of))
            fresh.replace(self._store)
        except OSError as error:
            logger.warning("{}: cannot be written: {}", self._store, error.strerror)


def _read(store: Path) -> dict[str, str]:
    return strict_json.read(store, dict[str, str], "EVSEs are assigned anew") or {}
