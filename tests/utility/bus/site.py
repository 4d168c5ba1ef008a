"""A whole gateway as processes on an embedded site, with lines of its own in `agent.toml`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.cli.embedded import Site, SiteOptions, free_port, process_bus_pair, write_configuration
from agent.cli.gateway import GatewayClient
from agent.errors import UnavailableError
from agent.messages import Snapshot, StatusQuery


@contextmanager
def running_site(folder: Path, extra: str, stations: int = 2) -> Iterator[tuple[Site, Watcher]]:
    """Start daemon, workers, merging unit and stations; yield them when frequency is good."""
    with process_bus_pair() as (receiver, sender, _kind):
        options = SiteOptions(
            folder, stations=stations, ocpp_port=free_port(), mms_port=free_port(),
            dip_length_s=2.0,
        )  # fmt: skip
        config = write_configuration(options, receiver)
        config.write_text(config.read_text() + extra)
        with (folder / "site.log").open("wb") as log:
            site = Site(options, config, sender, log)
            try:
                site.start()
                yield site, Watcher(site, stations)
            finally:
                site.stop()


class Watcher:
    """An operator's tool that listens to every snapshot."""

    def __init__(self, site: Site, stations: int) -> None:
        self.client = self._connect(site)
        self.client.send(StatusQuery(watch=True))
        for shot in self.snapshots(150.0):
            plugged = sum(view.status.plugged for view in shot.evses)
            if shot.measurement is not None and shot.complete and plugged == stations:
                return
        raise UnavailableError((site.options.folder / "site.log").read_text()[-4000:])

    def snapshots(self, seconds: float) -> Iterator[Snapshot]:
        """Yield what the control publishes."""
        for message in self.client.messages(seconds):
            if isinstance(message, Snapshot):
                yield message

    def during(self, seconds: float) -> list[Snapshot]:
        """Return all snapshots of a while."""
        return list(self.snapshots(seconds))

    def _connect(self, site: Site) -> GatewayClient:
        import argparse

        end_s = time.monotonic() + 120.0
        while True:
            try:
                return GatewayClient(argparse.Namespace(socket=site.socket, config=site.config))
            except UnavailableError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.05)
