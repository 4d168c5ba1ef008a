"""What each model of station can do beyond what its protocol version says.

One TOML file a model under `mappings/stations/`; `docs/ocpp.md` has the recipe for a new one. The
most specific file whose patterns match vendor, model, firmware and protocol is used.
"""

from __future__ import annotations

import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.config import Settings
from agent.config.sections import Section, read_section
from agent.errors import ConfigurationError, Finding

Magnitude = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class StationModel(Section, frozen=True, kw_only=True):
    """Knowledge about a model of station; powers are magnitudes in watts, of one EVSE."""

    name: str = "default"
    vendor: Pattern = "*"
    """Shell patterns that vendor, model, firmware and protocol must match, in any case."""
    model: Pattern = "*"
    firmware: Pattern = "*"
    protocol: Pattern = "*"
    discharges: bool = True
    """The equipment can export; its vehicle must say so too, and only 2.1 can order it."""
    orders: bool = True
    """It carries out charging profiles at all."""
    charge_max_w: Magnitude = 11_000.0
    discharge_max_w: Magnitude = 11_000.0
    charge_min_w: Magnitude = 0.0
    """Below it the station pauses (6 A a phase by IEC 61851-1)."""
    discharge_min_w: Magnitude = 0.0
    step_w: Magnitude = 0.0
    """Smallest change that it carries out; orders are rounded towards zero."""
    unit: Literal["W", "A"] = "W"
    """What its charging profiles understand."""
    phases: Literal[1, 2, 3] = 3
    volts: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 230.0
    stack_level: Annotated[int, msgspec.Meta(ge=0, le=100)] = 8
    min_interval_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0
    """Shortest time between two orders that it bears."""
    setpoint_sign: Literal[1, -1] = 1
    """-1 for equipment that takes positive setpoints for discharge, against the specification."""
    meter_sign: Literal[1, -1] = 1
    """-1 for equipment whose Power.Active.Import is negative while it charges."""
    dynamic_updates: bool = False
    """It takes UpdateDynamicSchedule for its running dynamic profile."""
    reactive: bool = False
    """It carries out setpointReactive."""
    meter_interval: bool = True
    """It accepts a change of its meter value interval."""
    source: str = ""
    """Where the knowledge comes from: data sheet, certificate, measurement."""


DEFAULT: Final = StationModel()


def default_folder() -> Path:
    """Return the tables that come with the package: beside it, or under the prefix's share."""
    beside = Path(__file__).resolve().parents[3] / "mappings" / "stations"
    share = Path(sys.prefix) / "share" / "v2g-agent" / "mappings" / "stations"
    return beside if beside.is_dir() else share


def models_folder(settings: Settings) -> Path:
    """Return where the tables of this gateway are: those that it names, or the package's."""
    mappings = settings.gateway.mappings
    return mappings / "stations" if mappings else default_folder()


class StationModels:
    """All known models, the most specific first."""

    def __init__(self, models: tuple[StationModel, ...] = ()) -> None:
        self._models = sorted(models, key=_specificity, reverse=True)

    def __len__(self) -> int:
        return len(self._models)

    def find(
        self, vendor: str = "", model: str = "", firmware: str = "", protocol: str = ""
    ) -> StationModel:
        """Return what is known of a station; the defaults where nothing matches."""
        named = {"vendor": vendor, "model": model, "firmware": firmware, "protocol": protocol}
        for candidate in self._models:
            if all(
                fnmatchcase(value.lower(), getattr(candidate, key).lower())
                for key, value in named.items()
            ):
                return candidate
        return DEFAULT


def load_models(folder: Path) -> StationModels:
    """Return the models of all TOML files in `folder`; none where it does not exist.

    Raises:
        ConfigurationError: With every finding of every file.
    """
    models: list[StationModel] = []
    findings: list[Finding] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            findings.append(Finding(str(path), f"cannot be read: {error}"))
            continue
        findings += [
            Finding(f"{path}: {name}", "unknown table", "only [station]")
            for name in document.keys() - {"station"}
        ]
        table = document.get("station", {})
        if isinstance(table, dict):
            table = {"name": path.stem, **table}
        model, problems = read_section(StationModel, table, f"{path}: station")
        findings += problems
        if model is not None:
            models.append(model)
    if findings:
        raise ConfigurationError(tuple(findings))
    return StationModels(tuple(models))


def _specificity(model: StationModel) -> int:
    patterns = (model.vendor, model.model, model.firmware, model.protocol)
    return sum(len(pattern.replace("*", "")) + (pattern != "*") for pattern in patterns)
