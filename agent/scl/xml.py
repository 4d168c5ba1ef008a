"""Makes SCL elements."""

from __future__ import annotations

from lxml import etree

from agent.scl.reader import SCL_NS


def add(
    parent: etree._Element, tag: str, required: tuple[str, ...] = (), /, **attributes: str | None
) -> etree._Element:
    """A child element; attributes that are None or empty are left out unless required."""
    element = etree.SubElement(parent, f"{{{SCL_NS}}}{tag}")
    for name, value in attributes.items():
        if value or (value is not None and name in required):
            element.set(name, value)
    return element


def flag(value: bool, default: bool) -> str | None:
    """A boolean attribute, None where it has its default."""
    return None if value is default else "true" if value else "false"


def number(value: int | None, default: int | None = None) -> str | None:
    """An integer attribute, None where it has its default."""
    return None if value == default else str(value)
