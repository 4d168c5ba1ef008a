"""The IED worker: `python -m agent.ied.worker`."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
from collections.abc import Callable

from loguru import logger

from agent import __version__
from agent.config import Settings
from agent.ied.engines import create
from agent.ied.front import Front, Limits
from agent.ied.front.tls import TlsFiles, TlsGate, plain_rights
from agent.ied.mms_client import client_context
from agent.ied.model import bind_model, load_model
from agent.ied.port import Engine, EngineOptions, Identity
from agent.ied.reported import ReportedSource
from agent.ied.service import IedService
from agent.messages import Message, Role
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

_COUNT_S = 1.0
TLS_SESSION_S = 86_400.0
"""Keys and certificates of one TLS session are in use no longer (IEC 62351-3:2023, 5.6)."""


def main(worker: Worker) -> int:
    """Load, serve until the daemon says otherwise."""
    asyncio.run(_serve(worker))
    return 0


async def _serve(worker: Worker) -> None:
    settings = worker.settings
    gc.disable()  # hundreds of thousands of objects that all stay: collecting finds nothing
    model = load_model(settings)
    bound = bind_model(settings, model)
    files = None if settings.ied.files is None else f"{settings.ied.files}/"
    options = EngineOptions(
        Identity(revision=__version__),
        report_buffer_bytes=settings.ied.report_buffer_kb << 10,
        file_store=files,
        publishes_goose=bool(settings.ied.goose_interface),
    )
    engine = create(settings.ied.engine, model, options)
    loop = asyncio.get_running_loop()

    def send(message: Message) -> bool:
        """From any thread."""
        if not worker.link.connected:
            return False
        loop.call_soon_threadsafe(link.send, message)
        return True

    service = IedService(settings, model, bound, engine, send)
    link = AsyncLink(worker, service.take)
    front = Front(engine, _limits(settings, engine), service.decisions.audit)
    gate = _gate(settings)
    sources = _sources(settings, send)
    service.start()
    gc.freeze()
    gc.enable()
    try:
        await _listen(front, settings, gate)
        logger.info("{} is served by {}", model.ied_name, settings.ied.engine)
        for source in sources:
            source.start()
        counting = asyncio.create_task(_count(worker, service, front, sources))
        await link.run()
        counting.cancel()
    finally:
        for source in sources:
            source.stop()
        await front.stop()
        service.stop()


async def _count(
    worker: Worker, service: IedService, front: Front, sources: list[ReportedSource]
) -> None:
    """Keep the heartbeat's counters; notice when the link to the control is down."""
    while True:
        await asyncio.sleep(_COUNT_S)
        merge_counters(worker, service.counters)
        worker.counters["associations"] = float(front.admission.associated)
        worker.counters["source_reports"] = float(sum(source.reports for source in sources))
        if not worker.link.connected:
            service.control_lost()


def _sources(settings: Settings, send: Callable[[Message], bool]) -> list[ReportedSource]:
    """What we take from other IEDs.

    Raises:
        ConfigurationError: A certificate or key cannot be used.
    """
    ied, tls = settings.ied, None
    if ied.ca is not None and any(source.tls for source in ied.source):
        tls = client_context(ied.ca, ied.certificate, ied.private_key)
    nominal_v = settings.grid.nominal_v
    return [ReportedSource(source, nominal_v, tls, send) for source in ied.source]


async def _listen(front: Front, settings: Settings, gate: TlsGate | None) -> None:
    ied = settings.ied
    if gate is not None:
        port = await front.start(ied.host, ied.tls_port, gate)
        logger.info("MMS over TLS on {}:{}", ied.host, port)
    if ied.plain or (ied.plain is None and gate is None):
        port = await front.start(ied.host, ied.port, admit=plain_rights(ied.plain_role))
        logger.info("MMS without TLS on {}:{} as {}", ied.host, port, ied.plain_role)


def _gate(settings: Settings) -> TlsGate | None:
    ied = settings.ied
    if ied.certificate is None or ied.private_key is None or ied.ca is None:
        return None
    files = TlsFiles(ied.certificate, ied.private_key, ied.ca, ied.crl, ied.tls_least)
    if ied.crl is None:
        logger.warning("ied.crl is not set: revoked certificates are not noticed")
    return TlsGate(files, ied.roles)


def _limits(settings: Settings, engine: Engine) -> Limits:
    ied, longest_s = settings.ied, settings.ied.session_max_s
    return Limits(
        associations=min(ied.max_associations, engine.max_associations),
        per_address=ied.max_associations_per_address,
        handshake_s=ied.handshake_timeout_s,
        idle_s=ied.idle_timeout_s,
        session_s=longest_s or 0.0,
        tls_session_s=TLS_SESSION_S if longest_s is None else longest_s,
        allow=tuple(ipaddress.ip_network(network) for network in ied.allow),
    )


if __name__ == "__main__":
    run_worker(Role.IED, main)
