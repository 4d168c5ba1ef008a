"""A busy process bus for long runs: sampled value streams and GOOSE publishers in one process.

python -m tests.gateway.soak_bus --interface virtual:PATH --streams 4 --goose 20
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from copy import deepcopy
from pathlib import Path

from lxml import etree

from agent.processbus.capture.sender import open_sender
from agent.processbus.goose.publisher import BayPublisher
from agent.processbus.simulated import Dips, MergingUnit, Waveform
from agent.processbus.sv.encode import SvStream

NS = {"s": "http://www.iec.ch/61850/2003/SCL"}
PAUSE_S = 0.002
RUSH_PERIOD_S = 1.0


def stream(number: int) -> SvStream:
    """Stream `number` (from 1) as `enlarge` writes it into the SCD."""
    return SvStream(
        sv_id=f"MU{number:02d}",
        destination=bytes.fromhex(f"010ccd0400{number:02x}"),
        source=bytes.fromhex(f"0200000001{number:02x}"),
        appid=0x4000 + number - 1,
    )


def bay(number: int) -> BayPublisher:
    """Bay `number` (from 1) as `enlarge` writes it."""
    return BayPublisher(
        ied=f"BAY{number}",
        go_id=f"BAY{number}/gcbMeasurements",
        appid=number,
        destination=bytes.fromhex(f"010ccd0100{number:02x}"),
    )


def enlarge(source: Path, target: Path, streams: int, bays: int) -> None:
    """Write the sample station with more merging units and bays, all bound to V2G1."""
    root = etree.parse(str(source)).getroot()
    for number in range(2, streams + 1):
        unit = _copy(root, "MU1", f"MU{number}")
        unit.find(".//s:SampledValueControl", NS).set("smvID", f"MU{number:02d}")
        _address(root, f"MU{number}", f"01-0C-CD-04-00-{number:02X}", f"{0x4000 + number - 1:04X}")
    for number in range(2, bays + 1):
        device = _copy(root, "BAY1", f"BAY{number}")
        for control in device.iterfind(".//s:GSEControl", NS):
            control.set("appID", f"BAY{number}/gcbMeasurements")
        _address(root, f"BAY{number}", f"01-0C-CD-01-00-{number:02X}", f"{number:04X}")
    etree.ElementTree(root).write(str(target), encoding="UTF-8", xml_declaration=True)


def _copy(root: etree._Element, of: str, name: str) -> etree._Element:
    """Copy an IED, its access points in the process bus, and what V2G1 takes from it."""
    original = root.find(f"s:IED[@name='{of}']", NS)
    copied = deepcopy(original)
    copied.set("name", name)
    original.addnext(copied)
    path = f".//s:SubNetwork[@name='ProcessBus']/s:ConnectedAP[@iedName='{of}']"
    for connected in root.findall(path, NS):
        twin = deepcopy(connected)
        twin.set("iedName", name)
        connected.addnext(twin)
    for ext_ref in root.findall(f"s:IED[@name='V2G1']//s:ExtRef[@iedName='{of}']", NS):
        if ".Hz." in ext_ref.get("intAddr", ""):
            continue  # one bay gives a frequency, all give positions
        twin = deepcopy(ext_ref)
        twin.set("iedName", name)
        ext_ref.addnext(twin)
    return copied


def _address(root: etree._Element, ied: str, mac: str, appid: str) -> None:
    path = f".//s:SubNetwork[@name='ProcessBus']/s:ConnectedAP[@iedName='{ied}']//s:P"
    for parameter in root.iterfind(path, NS):
        value = {"MAC-Address": mac, "APPID": appid}.get(parameter.get("type", ""))
        if value:
            parameter.text = value


def publish(
    interface: str, streams: int, bays: int, dip_every_s: float, rush_s: float = 0.0
) -> None:
    """Send until the process is ended; in the first `rush_s` dip all the time.

    The rush fills what is bounded but starts empty, the buffers of reports above all.
    """
    sender = open_sender(interface)
    waves = [Waveform(50, 50.0) for _ in range(streams)]
    units = [MergingUnit(stream(n), wave, sender) for n, wave in enumerate(waves, 1)]
    publishers = [bay(number) for number in range(1, bays + 1)]
    dips = Dips(dip_every_s, 8.0, time.monotonic())
    calm_s = time.monotonic() + rush_s
    start_s = time.time()
    for unit in units:
        unit.start(start_s)
    while True:
        now_s = time.monotonic()
        low = dips.low(now_s) if now_s > calm_s else now_s % RUSH_PERIOD_S < RUSH_PERIOD_S / 2
        f_hz = 49.80 if low else 50.0
        utc_s = time.time()
        for wave, unit in zip(waves, units, strict=True):
            wave.f_hz = f_hz
            unit.send_due(utc_s)
        for publisher in publishers:
            # Every breaker stays closed: an open one would take the site from the grid.
            if frame := publisher.due(f_hz, True, now_s, time.time_ns()):
                sender.send([frame])
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--interface", required=True)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--goose", type=int, default=20)
    parser.add_argument("--dip-every", type=float, default=60.0)
    parser.add_argument("--rush", type=float, default=0.0, help="seconds at the start")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    publish(chosen.interface, chosen.streams, chosen.goose, chosen.dip_every, chosen.rush)
