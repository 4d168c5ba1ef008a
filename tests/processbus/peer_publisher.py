"""Sampled values of libiec61850's publisher, as fast as it makes them.

`python -m tests.processbus.peer_publisher --interface IF --seconds 2 --f-hz 49.9`: 4,000 samples a
second of four currents and four voltages, INT32 with quality, counters as 9-2LE has them.
"""

from __future__ import annotations

import argparse
import math

import pyiec61850.pyiec61850 as iec

RATE_HZ = 4000
SYNCHRONISED = 2
CURRENT_PEAK = 10_000 * math.sqrt(2)
VOLTAGE_PEAK = 23_000 * math.sqrt(2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interface", required=True)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--f-hz", type=float, default=50.0)
    arguments = parser.parse_args()
    publisher = iec.SVPublisher_create(None, arguments.interface)
    asdu = iec.SVPublisher_addASDU(publisher, "PEERMU01", None, 1)
    places = [
        (iec.SVPublisher_ASDU_addINT32(asdu), iec.SVPublisher_ASDU_addQuality(asdu))
        for _ in range(8)
    ]
    iec.SVPublisher_ASDU_setSmpCntWrap(asdu, RATE_HZ)
    iec.SVPublisher_setupComplete(publisher)
    iec.SVPublisher_ASDU_setSmpSynch(asdu, SYNCHRONISED)
    for _, quality in places:
        iec.SVPublisher_ASDU_setQuality(asdu, quality, 0)
    for sample in range(int(arguments.seconds * RATE_HZ)):
        angle = 2 * math.pi * arguments.f_hz * sample / RATE_HZ
        for number, (channel, _) in enumerate(places):
            phase, voltage = number % 4, number >= 4
            peak = 0.0 if phase == 3 else VOLTAGE_PEAK if voltage else CURRENT_PEAK
            value = round(peak * math.cos(angle - phase * 2 * math.pi / 3))
            iec.SVPublisher_ASDU_setINT32(asdu, channel, value)
        iec.SVPublisher_publish(publisher)
        iec.SVPublisher_ASDU_increaseSmpCnt(asdu)
    iec.SVPublisher_destroy(publisher)


if __name__ == "__main__":
    main()
