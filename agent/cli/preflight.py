"""What a start needs around the configuration: files, certificates, interfaces, the machine."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from agent.clock import read_clock
from agent.config import Section, Settings, section_types
from agent.errors import Finding

READ_ELSEWHERE: Final = frozenset(
    {"run_dir", "state_dir", "log_dir", "mappings", "power_profile", "file"}
)
"""Paths that the service makes itself, or that another check reads."""
EXPIRY_WARNING: Final = timedelta(days=30)
FREE_BYTES: Final = 200 << 20
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_GROUP_OR_OTHERS: Final = 0o077


def files(settings: Settings) -> list[Finding]:
    """Return a finding for each file that the settings name and that cannot be used."""
    return [finding for where, path in _named_files(settings) for finding in _file(where, path)]


def machine(settings: Settings) -> list[Finding]:
    """Return what this machine lacks; the gateway starts without it, but not as it should run."""
    found = list(_interfaces(settings))
    clock = read_clock()
    if not clock.synchronised:
        hint = "timedatectl set-ntp true, or a PTP service"
        found.append(Finding("clock", f"is not synchronised: {clock.reason}", hint))
    if (os.cpu_count() or 1) < 2:
        found.append(Finding("machine", "has one core; the process bus needs its own", ""))
    found += [finding for folder in _state_folders(settings) for finding in _space(folder)]
    for where, path in _named_files(settings):
        found += _expiry(where, path)
        found += _permissions(where, path)
    return found


def _named_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name in section_types():
        section = getattr(settings, name)
        yield from _paths(section, f"{settings.path}: {name}")


def _paths(section: Section, where: str) -> Iterator[tuple[str, Path]]:
    defaults = dict(zip(section.__struct_fields__, _defaults(section), strict=True))
    for key in section.__struct_fields__:
        value = getattr(section, key)
        if isinstance(value, Path) and key not in READ_ELSEWHERE and value != defaults[key]:
            yield f"{where}.{key}", value
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Section):
                    yield from _paths(item, f"{where}.{key}[{index}]")


def _defaults(section: Section) -> list[object]:
    """A path that nobody set is used only where it exists; it is no finding."""
    return [field.default for field in msgspec.structs.fields(section)]


def _file(where: str, path: Path) -> Iterator[Finding]:
    try:
        if not path.exists():
            yield Finding(where, f"{path} does not exist", "")
    except PermissionError:
        pass  # only systemd reads it, as root; it says so itself when the file is missing


def _interfaces(settings: Settings) -> Iterator[Finding]:
    try:
        known = {name for _index, name in socket.if_nameindex()}
    except OSError:  # a sandbox without network
        return
    named = (
        ("process_bus.interface", (settings.process_bus.interface,)),
        ("secc.evse", tuple(evse.interface for evse in settings.secc.evse)),
    )
    for key, names in named:
        for name in names:
            if not name.startswith("virtual:") and name not in known:
                hint = f"this machine has {', '.join(sorted(known))}"
                yield Finding(f"{settings.path}: {key}", f"no interface {name!r} here", hint)


def _state_folders(settings: Settings) -> tuple[Path, ...]:
    return settings.gateway.log_dir, settings.gateway.state_dir


def _space(folder: Path) -> Iterator[Finding]:
    existing = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    free = shutil.disk_usage(existing).free
    if free < FREE_BYTES:
        what = f"only {free >> 20} MiB are free"
        yield Finding(str(folder), what, "without a writable audit log, remote orders are refused")


def _expiry(where: str, path: Path) -> Iterator[Finding]:
    try:
        data = path.read_bytes()
        certificates = x509.load_pem_x509_certificates(data) if _CERTIFICATE in data else []
    except OSError:
        return
    except ValueError as error:
        yield Finding(where, f"{path} holds a certificate that cannot be read: {error}", "")
        return
    now = datetime.now(UTC)
    for certificate in certificates:
        end = certificate.not_valid_after_utc
        if end < now + EXPIRY_WARNING:
            state = "expired" if end < now else "expires"
            name = certificate.subject.rfc4514_string()
            yield Finding(where, f"{name} {state} on {end:%Y-%m-%d} ({path})", "renew it")


def _permissions(where: str, path: Path) -> Iterator[Finding]:
    try:
        secret = b"PRIVATE KEY-----" in path.read_bytes()
        mode = path.stat().st_mode
    except OSError:
        return
    if secret and mode & _GROUP_OR_OTHERS:
        yield Finding(where, f"others may read the key {path}", f"chmod 600 {path}")
