"""`v2g-monitor`: the frequency of every stream on a process bus or in a capture file.

With `--json` one line a report and nothing else goes to standard output; `t` is the UTC instant
that the report describes, `published_t` when it could be known.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from agent.cli.arguments import duration_s, run_command
from agent.errors import ConfigurationError, Finding
from agent.messages import Measurement
from agent.processbus.monitor import MonitorOptions, file_reports, live_reports

SLOWEST_S: Final = 60.0
FASTEST_S: Final = 0.01


def main() -> int:
    """Entry point."""
    return run_command(_main)


def _main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = _options(arguments)
    show = _print_json if arguments.json else _print_line
    if not arguments.json:
        print(_HEADING)
    for measurement, published_t in _reports(options):
        show(measurement, published_t)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="v2g-monitor", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--interface", help="network interface or virtual:PATH")
    where.add_argument("--pcap", type=Path, metavar="FILE", help="pcap or pcapng file")
    parser.add_argument(
        "--sample-rate",
        type=duration_s,
        default=0.02,
        metavar="50ms",
        help="time from one report to the next, 10ms to 60s (default 20ms)",
    )
    parser.add_argument("--speed", choices=("1", "max"), default="1", help="of a file")
    parser.add_argument("--nominal", type=int, choices=(50, 60), default=50)
    parser.add_argument("--filter", choices=("default", "low-latency"), default="default")
    parser.add_argument("--sv", action="append", default=[], metavar="SVID", help="only this one")
    parser.add_argument("--scd", type=Path, metavar="FILE", help="scale factors and data sets")
    parser.add_argument("--ied", metavar="NAME", help="subscriptions of this IED in the SCD")
    parser.add_argument("--simulation", action="store_true", help="accept simulated streams")
    parser.add_argument("--json", action="store_true", help="one JSON object a report")
    return parser


def _options(arguments: argparse.Namespace) -> MonitorOptions:
    period_s = arguments.sample_rate
    if not FASTEST_S <= period_s <= SLOWEST_S:
        raise ConfigurationError(
            (Finding("--sample-rate", f"{period_s:g} s is out of range", "10ms to 60s"),)
        )
    return MonitorOptions(
        interface=arguments.interface or "",
        pcap=arguments.pcap,
        period_s=period_s,
        real_time=arguments.speed == "1",
        nominal_hz=arguments.nominal,
        filter=arguments.filter,
        names=tuple(arguments.sv),
        scd=arguments.scd,
        ied=arguments.ied or "",
        simulation=arguments.simulation,
    )


def _reports(options: MonitorOptions) -> Iterator[tuple[Measurement, float]]:
    return file_reports(options) if options.pcap else live_reports(options)


def _print_json(measurement: Measurement, published_t: float) -> None:
    line: dict[str, Any] = {
        "t": round(measurement.t_utc_s, 6),
        "published_t": round(published_t, 6),
        "stream": measurement.source,
        "f_hz": measurement.f_hz,
        "rocof_hz_s": measurement.rocof_hz_s,
        "v1_v": measurement.v1_v,
        "quality": str(measurement.quality),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


_HEADING: Final = "UTC                      stream               Hz        Hz/s        V  quality"


def _print_line(measurement: Measurement, published_t: float) -> None:  # noqa: ARG001 - one shape
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(measurement.t_utc_s))
    print(
        f"{second}.{int(measurement.t_utc_s % 1 * 1000):03d}Z {measurement.source:<16.16s}"
        f" {measurement.f_hz:9.4f} {measurement.rocof_hz_s:+9.3f} {measurement.v1_v:10.2f}"
        f"  {measurement.quality}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
