"""Read `agent.toml` and the power profile it names; every error at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

from agent.config.profile import PowerProfile, read_profile
from agent.config.sections import Section, read_section
from agent.config.settings import Gateway, Settings
from agent.config.unit import credential, with_state_folder
from agent.config.utility import Utility
from agent.errors import ConfigurationError, Finding

DEFAULT_PATH: Final = Path("/etc/v2g/agent.toml")


def load_settings(path: Path = DEFAULT_PATH) -> Settings:
    """Return the checked settings of a configuration file.

    Relative paths in the file start at the file's folder.

    Raises:
        ConfigurationError: With every finding: unknown tables and keys, wrong types and ranges,
            an unreadable file, and the power profile's lines.
    """
    settings, findings = read_settings(path)
    if findings:
        raise ConfigurationError(tuple(findings))
    return settings


def read_settings(path: Path = DEFAULT_PATH) -> tuple[Settings, list[Finding]]:
    """Return what can be used of a configuration, and everything that is wrong with it.

    A table with a finding stands at its defaults; only a check goes on with such settings.
    """
    try:
        sections, findings = _read_sections(_read_toml(path), path)
    except ConfigurationError as error:
        return Settings(path=path), list(error.findings)
    profile = PowerProfile()
    gateway = sections.get("gateway", Gateway())
    if gateway is not None:
        try:
            profile = read_profile(_beside(path, gateway.power_profile))
        except ConfigurationError as error:
            findings += error.findings
        sections["gateway"] = with_state_folder(gateway)
    findings += _across(sections, path)
    usable = {name: section for name, section in sections.items() if section is not None}
    settings = Settings(path=path, power=profile, **usable)
    findings += [Finding(f"{path}: {key}", what, hint) for key, what, hint in settings.check()]
    return settings, findings


def section_types() -> dict[str, type[Section]]:
    """Return the tables that a configuration may have, by name."""
    hints = get_type_hints(Settings)
    return {
        name: kind
        for name, kind in hints.items()
        if isinstance(kind, type) and issubclass(kind, Section)
    }


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(
            (Finding(str(path), f"cannot be read: {error.strerror}"),)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"is not TOML: {error}"),)) from error


def _read_sections(document: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[Finding]]:
    known = section_types()
    sections: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, table in document.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean [{near[0]}]?" if near else f"known: {', '.join(sorted(known))}"
            findings.append(Finding(f"{path}: {name}", "unknown table", hint))
            continue
        section, problems = read_section(known[name], table, f"{path}: {name}")
        findings += problems
        sections[name] = _with_absolute_paths(section, path) if section else None
    return sections, findings


def _with_absolute_paths(section: Section, path: Path) -> Section:
    values = {name: getattr(section, name) for name in section.__struct_fields__}
    absolute = {
        name: credential(_beside(path, value)) if isinstance(value, Path) else value
        for name, value in values.items()
    }
    return type(section)(**absolute)


def _across(sections: Mapping[str, Any], path: Path) -> list[Finding]:
    """Return what one table asks of another."""
    utility = sections.get("utility", Utility())
    ocpi, dispatch = sections.get("ocpi"), sections.get("dispatch")
    if utility is None:  # it has findings of its own
        return []
    found: list[Finding] = []
    if ocpi is not None and ocpi.enabled and utility.api_port is None:
        found.append(Finding(f"{path}: utility.api_port", "is missing", "OCPI is served there"))
    if dispatch is not None and dispatch.public_key is not None and not utility.enabled:
        hint = "signed dispatch arrives there, or through the CSMS at utility.url"
        found.append(Finding(f"{path}: utility.api_port", "is missing", hint))
    return found


def _beside(path: Path, value: Path) -> Path:
    return value if value.is_absolute() else (path.parent / value).resolve()
