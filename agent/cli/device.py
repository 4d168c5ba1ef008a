"""`v2g-ctl device check`: is a device file sound, and does a device answer as it says?"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.vehicles.field.description import Description
    from agent.vehicles.field.readings import Readings

EXIT_NO_ANSWER = 69


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its own verb to `v2g-ctl`."""
    text = "Modbus devices: check a device file, and a device by it"
    parser = subparsers.add_parser("device", help=text, description=text)
    verbs = parser.add_subparsers(dest="device_verb", metavar="VERB", required=True)
    text = "check a device file; with --host or --serial also read the device (nothing is written)"
    check = verbs.add_parser("check", help=text, description=text)
    check.add_argument("file", metavar="FILE", help="a device file, a shipped type, or sunspec")
    check.add_argument("--host", default="", help="address of a Modbus/TCP device")
    check.add_argument("--port", type=int, default=502, help="of Modbus TCP; default 502")
    check.add_argument("--serial", default="", metavar="PORT", help="serial port: /dev/ttyUSB0")
    check.add_argument("--baud", type=int, default=19_200, help="default 19200")
    check.add_argument("--parity", choices=("N", "E", "O"), default="E", help="default E")
    check.add_argument("--unit", type=int, default=1, help="unit identifier; default 1")
    check.add_argument("--timeout", type=float, default=2.0, help="seconds")
    check.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check; 0 when all is well, 69 when the device does not answer, 78 for a bad file."""
    # Imported here: the other verbs of `v2g-ctl` need not wait for pymodbus.
    from agent.vehicles.field.description import SUNSPEC, find_description, shipped_folder
    from agent.vehicles.field.dialogue import DeviceError

    sunspec = arguments.file == SUNSPEC
    description = None if sunspec else find_description(arguments.file, (shipped_folder(),))
    answer: dict[str, Any] = {"file": _file(description, arguments.file)}
    if arguments.host or arguments.serial:
        try:
            answer |= asyncio.run(_ask(arguments, description))
        except DeviceError as error:
            print(json.dumps(answer | {"error": str(error)}) if arguments.json else f"{error}")
            return EXIT_NO_ANSWER
    print(json.dumps(answer) if arguments.json else _readable(answer))
    return 0


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


async def _ask(arguments: argparse.Namespace, description: Description | None) -> dict[str, Any]:
    from agent.config.field import FieldDevice
    from agent.vehicles.field.described import DescribedDevice
    from agent.vehicles.field.port import ClientMaker, Conversation, Port
    from agent.vehicles.field.sunspec import discover
    from agent.vehicles.field.sunspec.meter import SunSpecMeter

    device = FieldDevice(
        name="device",
        role="meter",
        host=arguments.host,
        port=arguments.port,
        serial=arguments.serial,
        baud=arguments.baud,
        parity=arguments.parity,
        unit=arguments.unit,
    )
    port = Port(ClientMaker(device, None), arguments.host or arguments.serial)
    pace_s = description.pace_s if description else 0.0
    conversation = Conversation(port, arguments.unit, arguments.timeout, pace_s)
    try:
        if description is not None:
            reader = DescribedDevice(description)
            groups = range(len(description.groups))
            readings = await conversation.run(reader.poll(groups))
            return {"readings": _known(readings), "requests": port.requests}
        found = await conversation.run(discover())
        meter = SunSpecMeter(found)
        readings = await conversation.run(meter.poll())
        return {
            "models": sorted(found.models),
            "unknown_models": list(found.unknown),
            "vendor": found.identity("Mn"),
            "model": found.identity("Md"),
            "serial_number": found.identity("SN"),
            "readings": _known(readings),
            "requests": port.requests,
        }
    finally:
        port.close()


def _known(readings: Readings) -> dict[str, Any]:
    empty: tuple[Any, ...] = (None, (), (None, None, None))
    return {name: value for name, value in asdict(readings).items() if value not in empty}


def _readable(answer: dict[str, Any]) -> str:
    file = answer["file"]
    lines = [f"{file['type']}: {file['name']}"]
    if "source" in file:
        lines.append(f"  source    {file['source']}")
    lines += [
        f"  {key:9} {', '.join(file[key])}"
        for key in ("values", "inputs", "commands")
        if file.get(key)
    ]
    lines += [f"  {key}: {answer[key]}" for key in ("vendor", "model", "models") if key in answer]
    for name, value in answer.get("readings", {}).items():
        lines.append(f"  {name:18} {value}")
    if "readings" in answer:
        lines.append(
            f"{answer['requests']} requests; compare with the display, above all the signs"
        )
    return "\n".join(lines)
