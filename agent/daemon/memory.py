"""The control's state on disk, so that a restart in mid-discharge adopts the world."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from agent.control import Parameters, State, dump_state, load_state


class StateFile:
    """One small file, replaced as a whole; losing the last second of it is harmless."""

    def __init__(self, path: Path, parameters: Parameters) -> None:
        self._path = path
        self._parameters = parameters
        self._last = b""
        self._failing = False
        path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> State | None:
        """Return what the last run left, or None where there is nothing usable."""
        try:
            return load_state(self._path.read_bytes(), self._parameters)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("{}: not adopted: {}", self._path, error)
            return None

    def save(self, state: State) -> None:
        """Write when it changed; a full disk is logged once and never stops the loop."""
        data = dump_state(state)
        if data == self._last:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(data)
            fresh.replace(self._path)
        except OSError as error:
            if not self._failing:
                logger.error("{}: cannot be written: {}", self._path, error.strerror)
            self._failing = True
            return
        self._last, self._failing = data, False
