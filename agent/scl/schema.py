"""Validation against the XML schema of IEC 61850-6, which the user brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.source import open_source, refuse

_ROOT = "SCL.xsd"
_MOST_FINDINGS = 200


def validate(
    source: str | Path | bytes, schema_dir: str | Path, limits: Limits = DEFAULT_LIMITS
) -> tuple[SclFinding, ...]:
    """What the schema says about a file; the first 200 findings.

    Args:
        source: The file.
        schema_dir: Folder with ``SCL.xsd`` and the files that it includes.
        limits: Limits of reading.

    Raises:
        SclError: The schema or the file cannot be read.
    """
    opened = open_source(source, limits)
    schema = _schema(Path(schema_dir))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with opened.open() as stream:
            document = etree.parse(stream, parser)
    except etree.XMLSyntaxError as error:
        raise refuse(opened.name, f"not well-formed XML: {error.msg}") from error
    if schema.validate(document):
        return ()
    log: Any = schema.error_log  # Iterable, which the stubs do not know.
    entries = list(log)[:_MOST_FINDINGS]
    return tuple(
        SclFinding(
            Severity.ERROR,
            "schema.invalid",
            opened.name,
            entry.line,
            "",
            entry.message.replace("{http://www.iec.ch/61850/2003/SCL}", ""),
        )
        for entry in entries
    )


def _schema(folder: Path) -> etree.XMLSchema:
    path = folder / _ROOT
    if not path.is_file():
        raise refuse(str(folder), f"has no {_ROOT}", "give the folder of the schema files")
    try:
        return etree.XMLSchema(etree.parse(str(path), etree.XMLParser(no_network=True)))
    except (etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
        raise refuse(str(path), f"is not a usable schema: {error}") from error
