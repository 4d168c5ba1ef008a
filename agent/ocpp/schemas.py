"""The JSON schemas of OCPP, compiled to Python functions when they are first needed.

The schema files come with the `ocpp` package; only its data is read, never its code. Descriptions
are dropped before compiling and exceptions kept short: that compiles five times faster.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

import fastjsonschema
import orjson

from agent.errors import UnavailableError
from agent.ocpp.codes import CallError, ErrorCode
from agent.ocpp.frames import Payload
from agent.ocpp.version import Version

Validator = Callable[[Payload], object]

# `multipleOf: 0.1` of the 1.6 limits cannot be decided on binary floating point (7.3 fails it);
# formats are checked where a value is used. Everything else the schemas say is enforced.
_KEPT: Final = frozenset({
    "type", "properties", "required", "enum", "items", "$ref", "definitions", "maxLength",
    "minLength", "minItems", "maxItems", "minimum", "maximum", "additionalProperties", "pattern",
    "oneOf", "anyOf",
})  # fmt: skip
_NAMES: Final = frozenset({"properties", "definitions"})
_ACTION: Final = re.compile(r"[A-Za-z0-9]{1,60}")
_FOLDERS: Final = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}

_requests: Final[dict[tuple[Version, str], Validator]] = {}
_responses: Final[dict[tuple[Version, str], Validator]] = {}
Word = tuple[Version, str, str, str]
_words: Final[set[Word | None]] = set()
MAX_WORDS: Final = 256
"""Answers of one word (`{"status": "Accepted"}`) that are remembered as valid."""

_CLASSES: Final = (
    ("must contain ", ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
    ("must not contain ", ErrorCode.FORMAT_VIOLATION),
    ("must be one of ", ErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
    (
        r"must be (object|array|string|integer|number|boolean|null)",
        ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    ),
)


def check_request(version: Version, action: str, payload: Payload) -> None:
    """Check the payload of a CALL or SEND.

    Raises:
        CallError: NotImplemented for an action that the version does not have, else the code
            that the specification gives for the kind of violation.
    """
    _check(_requests.get((version, action)) or _request(version, action), payload)


def check_response(version: Version, action: str, payload: Payload) -> None:
    """Check the payload of a CALLRESULT to `action`. Raises as `check_request`.

    Most answers are one word, and the same word each time; one that passed passes again.
    """
    word = _word(version, action, payload)
    if word in _words:
        return
    _check(_responses.get((version, action)) or _response(version, action), payload)
    if word is not None and len(_words) < MAX_WORDS:
        _words.add(word)


def _word(version: Version, action: str, payload: Payload) -> Word | None:
    if len(payload) != 1:
        return None
    [(name, value)] = payload.items()
    return (version, action, name, value) if type(value) is str else None


def knows(version: Version, action: str) -> bool:
    """Whether the version has this action."""
    return _path(version, _request_name(version, action)) is not None


def is_unconfirmed(version: Version, action: str) -> bool:
    """Whether the action travels as SEND: a message that has no response schema (2.1)."""
    return version is Version.V21 and _path(version, action) is not None


def names(version: Version) -> tuple[str, ...]:
    """Return the names of all schemas of a version: requests, responses and SEND messages."""
    return tuple(_files(version))


def prepare(version: Version, actions: Iterable[str]) -> None:
    """Compile the schemas of these actions now, both directions."""
    for action in actions:
        _request(version, action)
        _response(version, action)


def _check(validator: Validator | None, payload: Payload) -> None:
    if validator is None:
        raise CallError(ErrorCode.NOT_IMPLEMENTED, "this version has no such action")
    try:
        validator(payload)
    except fastjsonschema.JsonSchemaValueException as error:
        raise CallError(_classify(error.message), error.message) from error
    except RecursionError as error:
        raise CallError(ErrorCode.FORMAT_VIOLATION, "nested too deeply") from error


def _classify(message: str) -> ErrorCode:
    for pattern, code in _CLASSES:
        if re.search(pattern, message):
            return code
    return ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


def _request(version: Version, action: str) -> Validator | None:
    return _load(_requests, version, action, _request_name(version, action))


def _response(version: Version, action: str) -> Validator | None:
    return _load(_responses, version, action, f"{action}Response")


def _request_name(version: Version, action: str) -> str:
    if version is Version.V16 or is_unconfirmed(version, action):
        return action
    return f"{action}Request"


def _load(
    into: dict[tuple[Version, str], Validator], version: Version, action: str, name: str
) -> Validator | None:
    """Compile the schema of this file name; unknown actions are not kept: none fills memory."""
    path = _path(version, name)
    if path is None:
        return None
    return into.setdefault((version, action), _compiled(path))


@functools.cache
def _compiled(path: Path) -> Validator:
    schema = _slim(orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf")))
    schema["$schema"] = "http://json-schema.org/draft-06/schema#"
    return cast(
        Validator,
        fastjsonschema.compile(
            schema, use_default=False, use_formats=False, detailed_exceptions=False
        ),
    )


def _slim(node: Any, names: bool = False) -> Any:
    """Copy a schema without what does not decide; under `names` keys are property names."""
    if isinstance(node, dict):
        return {
            key: _slim(value, key in _NAMES and not names)
            for key, value in node.items()
            if names or key in _KEPT
        }
    if isinstance(node, list):
        return [_slim(item) for item in node]
    return node


def _path(version: Version, name: str) -> Path | None:
    return _files(version).get(name) if _ACTION.fullmatch(name) else None


@functools.cache
def _files(version: Version) -> dict[str, Path]:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("the Python package `ocpp`, whose JSON schemas are used, is missing")
    folder = Path(spec.submodule_search_locations[0]) / _FOLDERS[version] / "schemas"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}
