"""A capture and everything that listens to it, in one `step`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loguru import logger

from agent.clock import read_clock
from agent.config import Settings
from agent.estimation.voting import VotingSettings
from agent.messages import Measurement, Message
from agent.processbus.capture import hardware_time
from agent.processbus.capture.source import CaptureOptions, Source, open_source
from agent.processbus.capture.virtual import PREFIX
from agent.processbus.events.detector import EventRules
from agent.processbus.events.recorder import EventRecorder
from agent.processbus.events.store import EventStore, Retention
from agent.processbus.filters import FilterChoice
from agent.processbus.goose.binding import goose_bindings
from agent.processbus.goose.receiver import GooseReceiver
from agent.processbus.goose.signals import SignalReader
from agent.processbus.goose.subscription import GooseSubscription
from agent.processbus.pipeline import Pipeline
from agent.processbus.supervision import SvSupervision
from agent.processbus.sv.binding import sv_expectations
from agent.processbus.sv.identity import SvExpectation
from agent.processbus.timeline import LiveTimeline
from agent.processbus.tracks import TrackRules
from agent.processbus.vote import SourceVote
from agent.scl import Subscriptions, read_scl, subscriptions

USUAL_SAMPLES_PER_CYCLE: Final = 80
BUSY_FRAMES: Final = 400
"""So many frames at once are not left to gather until the next report is due."""
BUSY_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.02
SHORTEST_PAUSE_S: Final = 0.001


class ProcessBusReader:
    """Everything that one process makes of one bus.

    Args:
        source: Where frames come from.
        pipeline: What sampled values become.
        goose: What GOOSE becomes.
        timeline: Of both.
        events: Where events are recorded, None where they are not.
    """

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline,
        goose: GooseReceiver,
        timeline: LiveTimeline,
        events: EventStore | None = None,
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._goose = goose
        self._timeline = timeline
        self._events = events
        self._supervision = SvSupervision(pipeline.table, pipeline.rules.expected)
        self._busy = self._behind = False
        self._vote = SourceVote(VotingSettings(nominal_hz=pipeline.rules.nominal_hz))
        self._trust_utc = read_clock().synchronised

    def step(self) -> Iterator[Message]:
        """Take what waits; yield what became of it, GOOSE first."""
        together: dict[str, Measurement] = {}
        for message in self._messages():
            if not isinstance(message, Measurement):
                yield message
                continue
            if message.source in together:
                yield from self._vote.judge(together.values())
                together.clear()
            together[message.source] = message
        yield from self._vote.judge(together.values())

    def _messages(self) -> Iterator[Message]:
        begun_s = self._timeline.now_s()
        taken = self._source.take()
        self._busy, self._behind = len(taken) > BUSY_FRAMES, not taken.drained
        now_s = time.monotonic()
        if len(taken.goose):
            utc_ns = time.time_ns() if self._trust_utc else None
            yield from self._goose.feed(taken.goose, now_s, utc_ns)
        yield from self._goose.expire(now_s)
        for frames in taken.sv:
            self._pipeline.feed(frames)
        # Samples that still wait in a ring, or came since, are not missing.
        yield from self._pipeline.reports(taken.known_until_s(begun_s, self._timeline.bus_s))

    def pause_s(self) -> float:
        """How long nothing can become due; no time at all while frames still wait."""
        if self._behind:
            # The shortest pause after each batch would keep a busy process behind for ever.
            return 0.0
        now_s = self._timeline.now_s()
        longest_s = BUSY_PAUSE_S if self._busy else LONGEST_PAUSE_S
        expiry_s = self._goose.expiry_s() - time.monotonic()
        wait_s = min(self._pipeline.due_s(now_s) - now_s, expiry_s, longest_s)
        return max(wait_s, SHORTEST_PAUSE_S)

    def urgent(self) -> list[int]:
        """Descriptors to wake up for."""
        return self._source.urgent()

    def state(self) -> Iterator[Message]:
        """Yield what a control that just connected must know."""
        yield from self._goose.state(time.monotonic())

    def simulate(self, accept: bool) -> None:
        """Take simulated streams and GOOSE from now on, or only real ones (LPHD.Sim)."""
        self._pipeline.simulate(accept)
        for reader in self._goose.readers:
            reader.subscription.simulate(accept)

    def health(self) -> Iterator[Message]:
        """Yield the state of every subscription, and alarms that begin or end."""
        for group in self._pipeline.groups:
            group.settle_counters()
        self._pipeline.look_after(self._timeline.now_s())
        self._trust_utc = read_clock().synchronised
        yield from self._supervision.health()
        yield from self._supervision.alarms(time.time())
        yield from self._goose.health(time.monotonic())

    def counters(self) -> dict[str, float]:
        """Return counters for the heartbeat."""
        decoder = self._pipeline.decoder.counters
        tracks = self._pipeline.table.tracks
        return {
            "frames": self._source.received,
            "dropped": self._source.dropped,
            "card_stamped": self._source.card_stamped,
            "xdp": self._source.by_xdp,
            "malformed": decoder.malformed,
            "unknown": decoder.unknown,
            "off_grid": self._pipeline.counters.off_grid,
            "streams": sum(track.group >= 0 for track in tracks),
            "samples_lost": sum(track.counters.lost for track in tracks),
            "samples_late": sum(track.counters.late for track in tracks),
            "events": self._events.written if self._events else 0,
            "goose": self._goose.frames,
            "goose_rejected": self._goose.rejected.total(),
        }

    def close(self) -> None:
        """End the capture."""
        self._source.close()
        if self._events is not None:
            self._events.close()


def reader_from_settings(settings: Settings) -> ProcessBusReader:
    """Return the reader that `[process_bus]` and the station's SCL describe.

    Raises:
        ConfigurationError: The SCL cannot be used.
        UnavailableError: The interface cannot be captured from.
    """
    bus, nominal_hz = settings.process_bus, settings.grid.nominal_hz
    bound = _subscriptions(settings)
    expected = sv_expectations(bound, nominal_hz)
    readers = tuple(
        SignalReader(
            GooseSubscription(binding.expected, bus.simulation),
            binding.signals,
            binding.source,
            settings.grid.nominal_v,
        )
        for binding in goose_bindings(bound)
    )
    if not bus.goose:
        readers = ()
    if bus.sv:
        # Streams of another process are not missing here.
        expected = tuple(e for e in expected if e.sv_id in bus.sv)
    source = open_source(bus.interface, _capture_options(settings, expected, readers))
    _warn_of_time_stamps(settings)
    filters = FilterChoice(nominal_hz, bus.reports_per_s, bus.filter, settings.grid.nominal_v)
    filters.design(USUAL_SAMPLES_PER_CYCLE * nominal_hz)
    timeline = LiveTimeline(time.monotonic, time.time)
    follow = TrackRules(nominal_hz, bus.sv, expected, bus.simulation)
    pipeline = Pipeline(follow, filters, timeline, time.monotonic, export_sign=bus.export_sign)
    events = _events(settings)
    if events is not None:
        rules = EventRules(nominal_hz, settings.grid.nominal_v)
        pipeline.watcher = EventRecorder(rules, events, settings.gateway.name).see
    return ProcessBusReader(source, pipeline, GooseReceiver(readers, timeline), timeline, events)


def _capture_options(
    settings: Settings, expected: tuple[SvExpectation, ...], readers: tuple[SignalReader, ...]
) -> CaptureOptions:
    bus = settings.process_bus
    wanted = [e.destination for e in expected]
    wanted += [reader.subscription.expected.destination for reader in readers]
    groups = tuple(sorted({address for address in wanted if address}))
    return CaptureOptions(
        promiscuous=bus.promiscuous or not groups,
        groups=groups,
        hardware_time=bus.hardware_time,
        goose=bool(readers),
        frames_per_s=sum(e.rate_hz for e in expected),
        xdp=bus.capture == "xdp",
    )


def _warn_of_time_stamps(settings: Settings) -> None:
    bus = settings.process_bus
    if bus.hardware_time and not bus.interface.startswith(PREFIX):
        reason = hardware_time.missing(bus.interface)
        if reason:
            logger.warning("{}: the kernel's time stamps are used: {}", bus.interface, reason)


def events_folder(settings: Settings) -> Path:
    """Return where events are recorded."""
    return settings.gateway.state_dir / "events"


def _events(settings: Settings) -> EventStore | None:
    bus = settings.process_bus
    if bus.events_mb == 0:
        return None
    return EventStore(events_folder(settings), Retention.of(bus.events_mb, bus.events_days))


def _subscriptions(settings: Settings) -> Subscriptions:
    """What our IED takes from the bus; nothing where no SCL is installed."""
    file = settings.scl.file
    if not file.exists():
        logger.warning("{}: no SCL; every stream with a usual data set is followed", file)
        return Subscriptions()
    bound = subscriptions(read_scl(file), settings.scl.ied)
    for finding in bound.findings:
        logger.warning("{}", finding)
    return bound
