"""Reads the Communication section."""

from __future__ import annotations

from lxml import etree

from agent.scl.model_comm import CbAddress, ConnectedAp, PAddress, SubNetwork
from agent.scl.reader import Reader

_MULTIPLIER_MS = {"": 1000.0, "m": 1.0, "u": 1e-3, "µ": 1e-3, "k": 1e6}


def read_communication(reader: Reader, element: etree._Element) -> tuple[SubNetwork, ...]:
    """Every SubNetwork."""
    return tuple(_subnetwork(reader, child) for child in reader.only(element, "SubNetwork"))


def _subnetwork(reader: Reader, element: etree._Element) -> SubNetwork:
    bit_rate = reader.first(element, "BitRate")
    return SubNetwork(
        element.get("name", ""),
        reader.line(element),
        element.get("type", ""),
        "" if bit_rate is None else reader.text(bit_rate),
        tuple(_connected(reader, child) for child in reader.only(element, "ConnectedAP")),
    )


def _connected(reader: Reader, element: etree._Element) -> ConnectedAp:
    address = reader.first(element, "Address")
    return ConnectedAp(
        element.get("iedName", ""),
        element.get("apName", ""),
        reader.line(element),
        None if address is None else _address(reader, address),
        tuple(_control_address(reader, child) for child in reader.only(element, "GSE")),
        tuple(_control_address(reader, child) for child in reader.only(element, "SMV")),
    )


def _address(reader: Reader, element: etree._Element) -> PAddress:
    parameters = {p.get("type", ""): reader.text(p) for p in reader.only(element, "P")}
    return PAddress(parameters, reader.line(element))


def _control_address(reader: Reader, element: etree._Element) -> CbAddress:
    address = reader.first(element, "Address")
    return CbAddress(
        element.get("ldInst", ""),
        element.get("cbName", ""),
        PAddress({}, reader.line(element)) if address is None else _address(reader, address),
        reader.line(element),
        _duration_ms(reader, element, "MinTime"),
        _duration_ms(reader, element, "MaxTime"),
    )


def _duration_ms(reader: Reader, element: etree._Element, name: str) -> int | None:
    """MinTime or MaxTime in milliseconds; the multiplier is ``m`` where it is absent."""
    duration = reader.first(element, name)
    if duration is None or not (text := reader.text(duration)):
        return None
    try:
        value_ms = float(text) * _MULTIPLIER_MS[duration.get("multiplier", "m")]
        return round(value_ms)
    except (ValueError, KeyError, OverflowError):
        reader.note(duration, "comm.bad-duration", f"{name} {text!r} is not a duration")
        return None
