"""OpenFMB by classes that others compiled (oes-protobuf), in a process of its own.

Two sets of classes of one protobuf package cannot live in one process: a name is registered once.
Reads ``{"MODULE.PROFILE": [hex, …]}`` on standard input; writes on standard output

- ``fields``: of every message, ``{field: [number, type, repeated, message or enum]}``;
- ``enums``: of every enumeration, ``{name: number}``;
- ``read``: of every payload, its text form without fields that the model does not know, whether
  there were such fields, and the bytes that the peer writes for it.
"""

from __future__ import annotations

import importlib
import json
import sys

from google.protobuf import text_format, unknown_fields

MODULES = ("commonmodule", "essmodule", "evsemodule")


def field_facts(field) -> list[object]:
    kind = field.message_type or field.enum_type
    return [field.number, field.type, field.is_repeated, kind.full_name if kind else ""]


def unknown(message) -> bool:
    """Whether the message, or one in it, has fields that its definition does not."""
    if len(unknown_fields.UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if any(unknown(each) for each in (value if field.is_repeated else (value,))):
            return True
    return False


def read(module, profile: str, payload: bytes) -> dict[str, object]:
    message = getattr(module, profile).FromString(payload)
    return {
        "text": text_format.MessageToString(message, as_one_line=True),
        "unknown": unknown(message),
        "hex": message.SerializeToString(deterministic=True).hex(),
    }


def main() -> None:
    importlib.import_module("openfmb")  # puts its own folder on the path
    modules = {name: importlib.import_module(f"openfmb.{name}.{name}_pb2") for name in MODULES}
    asked = json.load(sys.stdin)
    answer: dict[str, object] = {"fields": {}, "enums": {}, "read": {}}
    for module in modules.values():
        for kind in module.DESCRIPTOR.message_types_by_name.values():
            facts = {field.name: field_facts(field) for field in kind.fields}
            answer["fields"][kind.full_name] = facts
        for kind in module.DESCRIPTOR.enum_types_by_name.values():
            answer["enums"][kind.full_name] = {v.name: v.number for v in kind.values}
    for name, payloads in asked.items():
        module, profile = name.split(".")
        answer["read"][name] = [
            read(modules[module], profile, bytes.fromhex(payload)) for payload in payloads
        ]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
