"""`v2g-ctl device check`: is a device file sound, and does a device answer as it says?"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agent.vehicles.field.description import Description
    from agent.vehicles.field.port import Port
    from agent.vehicles.field.readings import Readings
    from agent.vehicles.field.trial import Remark

EXIT_REMARKS: Final = 4
"""The device answers otherwise than the file says."""
EXIT_NO_ANSWER: Final = 69
NOMINAL_HZ: Final = (50.0, 60.0)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its own verb to `v2g-ctl`."""
    text = "Modbus devices: check a device file, and a device by it"
    parser = subparsers.add_parser("device", help=text, description=text)
    verbs = parser.add_subparsers(dest="device_verb", metavar="VERB", required=True)
    text = "check a device file; with --host or --serial also read the device (nothing is written)"
    check = verbs.add_parser("check", help=text, description=text)
    check.add_argument("file", metavar="FILE", help="a device file, a shipped type, or sunspec")
    check.add_argument("--host", default="", help="address of a Modbus/TCP device")
    check.add_argument("--port", type=int, help="default 502, with --tls 802")
    check.add_argument("--tls", action="store_true", help="Modbus/TCP Security")
    check.add_argument("--certificate", type=Path, metavar="PEM", help="ours, with --tls")
    check.add_argument("--key", type=Path, metavar="PEM", help="of the certificate")
    check.add_argument("--ca", type=Path, metavar="PEM", help="who signed the device's certificate")
    check.add_argument("--serial", default="", metavar="PORT", help="serial port: /dev/ttyUSB0")
    check.add_argument("--baud", type=int, default=19_200, help="default 19200")
    check.add_argument("--parity", choices=("N", "E", "O"), default="E", help="default E")
    check.add_argument("--stop-bits", type=int, choices=(1, 2), default=1, help="default 1")
    check.add_argument("--unit", type=int, default=1, help="unit identifier; default 1")
    check.add_argument("--timeout", type=float, default=2.0, help="seconds; default 2")
    check.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check; 0 when all is well, 4 with remarks, 69 without an answer, 78 for a bad file."""
    # Imported here: the other verbs of `v2g-ctl` need not wait for pymodbus.
    from agent.vehicles.field.description import (
        SUNSPEC,
        description_path,
        load_description,
        shipped_folder,
    )
    from agent.vehicles.field.dialogue import DeviceError, DeviceTimeoutError

    description, path = None, None
    if arguments.file != SUNSPEC:
        path = description_path(arguments.file, (shipped_folder(),))
        description = load_description(path)
    answer: dict[str, Any] = {"file": _file(description, arguments.file)}
    code = 0
    if arguments.host or arguments.serial:
        try:
            found, remarks = asyncio.run(_ask(arguments, description))
            answer |= found | {"remarks": _placed(remarks, path)}
            code = EXIT_REMARKS if remarks else 0
        except DeviceError as error:
            answer["error"] = str(error)
            code = EXIT_NO_ANSWER if isinstance(error, DeviceTimeoutError) else EXIT_REMARKS
    print(json.dumps(answer) if arguments.json else _readable(answer, path))
    return code


def _file(description: Description | None, name: str) -> dict[str, Any]:
    if description is None:
        return {"type": "sunspec", "name": "describes itself"}
    return {
        "type": Path(name).stem,
        "name": description.name,
        "source": description.source,
        "values": [value.quantity for value in description.value],
        "inputs": [each.quantity for each in description.input],
        "commands": [command.quantity for command in description.command],
    }


def _port(arguments: argparse.Namespace) -> Port:
    from agent.config.field import Field, FieldDevice
    from agent.config.sections import read_section
    from agent.errors import ConfigurationError
    from agent.vehicles.field.port import ClientMaker, Port, client_context

    table = {
        "name": "device",
        "role": "meter",
        "host": arguments.host,
        "serial": arguments.serial,
        "tls": arguments.tls,
        "baud": arguments.baud,
        "parity": arguments.parity,
        "stop_bits": arguments.stop_bits,
        "unit": arguments.unit,
    } | ({"port": arguments.port} if arguments.port else {})
    files = {name: getattr(arguments, name) for name in ("certificate", "key", "ca")}
    given = {name: str(path) for name, path in files.items() if path}
    settings, findings = read_section(Field, {"device": [table], **given}, "arguments")
    if settings is None:
        raise ConfigurationError(tuple(findings))
    device: FieldDevice = settings.device[0]
    context = client_context(settings, Path("arguments")) if device.tls else None
    return Port(ClientMaker(device, context), device.serial or f"{device.host}:{device.tcp_port}")


async def _ask(
    arguments: argparse.Namespace, description: Description | None
) -> tuple[dict[str, Any], list[Remark]]:
    from agent.vehicles.field.port import Conversation
    from agent.vehicles.field.trial import examine

    port = _port(arguments)
    pace_s = description.pace_s if description else 0.0
    conversation = Conversation(port, arguments.unit, arguments.timeout, pace_s)
    try:
        if description is None:
            answer, readings, remarks = await _ask_sunspec(conversation)
        else:
            trial = await conversation.run(examine(description))
            answer, readings, remarks = {}, trial.readings, list(trial.remarks)
        answer |= {"readings": _known(readings), "requests": port.requests}
        lies = [readings.implausible(nominal_hz, float("inf")) for nominal_hz in NOMINAL_HZ]
        if all(lies):
            answer["not_believed"] = lies[0]
        return answer, remarks
    finally:
        port.close()


async def _ask_sunspec(conversation: Any) -> tuple[dict[str, Any], Readings, list[Remark]]:
    from agent.vehicles.field.readings import Readings
    from agent.vehicles.field.sunspec import discover
    from agent.vehicles.field.sunspec.readings import poll
    from agent.vehicles.field.sunspec.trial import remarks_of

    found = await conversation.run(discover())
    readings = Readings()
    if 701 in found.models:
        readings, _ = await conversation.run(poll(found, {}))
    answer = {
        "base": found.base,
        "models": sorted(found.models),
        "unknown_models": list(found.unknown),
        "vendor": found.identity("Mn"),
        "model": found.identity("Md"),
        "serial_number": found.identity("SN"),
    }
    return answer, readings, list(remarks_of(found))


def _placed(remarks: list[Remark], path: Path | None) -> list[dict[str, Any]]:
    """Add each remark's line in the file."""
    from agent.config.toml_lines import key_lines, line_of

    lines = key_lines(path.read_text("utf-8")) if path else {}
    return [{"line": line_of(lines, remark.key)} | asdict(remark) for remark in remarks]


def _known(readings: Readings) -> dict[str, Any]:
    empty: tuple[Any, ...] = (None, (), (None, None, None))
    return {name: value for name, value in asdict(readings).items() if value not in empty}


def _readable(answer: dict[str, Any], path: Path | None) -> str:
    file = answer["file"]
    lines = [f"{file['type']}: {file['name']}"]
    if "source" in file:
        lines.append(f"  source    {file['source']}")
    lines += [
        f"  {key:9} {', '.join(file[key])}"
        for key in ("values", "inputs", "commands")
        if file.get(key)
    ]
    lines += [
        f"  {key}: {answer[key]}"
        for key in ("vendor", "model", "serial_number", "models", "unknown_models")
        if answer.get(key)
    ]
    for name, value in answer.get("readings", {}).items():
        lines.append(f"  {name:18} {value}")
    lines += [_line(remark, path) for remark in answer.get("remarks", ())]
    if "not_believed" in answer:
        lines.append(f"the worker would not believe {answer['not_believed']}")
    if "error" in answer:
        lines.append(answer["error"])
    if "readings" in answer:
        wrong = len(answer["remarks"])
        lines.append(
            f"{answer['requests']} requests, {wrong} remark{'s' if wrong != 1 else ''}; "
            "compare with the display, above all the signs"
        )
    return "\n".join(lines)


def _line(remark: dict[str, Any], path: Path | None) -> str:
    where = f"{path}:{remark['line']}: " if path else ""
    place = "" if remark["register"] is None else f", {remark['table']} {remark['register']}"
    quantity = " ".join(filter(None, (remark["key"], remark["quantity"])))
    hint = f" ({remark['hint']})" if remark["hint"] else ""
    return f"{where}{quantity}{place}: {remark['what']}{hint}"
