"""What the transports share: credentials, and a connection that is made again and again."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loguru import logger

from agent.config.bus import Bus, endpoint
from agent.errors import ConfigurationError, Finding

RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 30.0
CANCEL_AGAIN_S: Final = 0.5
STEADY_S: Final = 10.0
"""A session that lasted this long was a good one: the next try comes soon."""


@dataclass(slots=True)
class LinkHealth:
    """What the heartbeat tells of one transport."""

    connected: bool = False
    connects: int = 0
    sent: int = 0
    acknowledged: int = 0
    resent: int = 0
    refused: int = 0

    def counters(self) -> dict[str, float]:
        """Return the values by name."""
        return {name: float(getattr(self, name)) for name in self.__dataclass_fields__}


async def keep_up(
    name: str, session: Callable[[], Awaitable[None]], faults: tuple[type[Exception], ...]
) -> None:
    """Run sessions one after another until cancelled, with pauses that grow and are random.

    Args:
        name: For the log.
        session: Connects and works; returns or raises one of `faults` when the link is lost.
        faults: What the client library raises; anything else is a defect and ends the process.
    """
    pause_s = RETRY_MIN_S
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await session()
            reason = "closed"
        except faults as error:
            reason = str(error) or type(error).__name__
        pause_s = RETRY_MIN_S if loop.time() - began_s > STEADY_S else pause_s
        logger.warning("{}: {}; again in {:.1f} s", name, reason, pause_s)
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2.0 * pause_s, RETRY_MAX_S)


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run works until one of them ends or fails; end the others, and raise what it raised.

    (A task group of Python 3.11 can lose the cancellation of its parent when a member fails.)
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended; what they raise was looked at, or is of no interest.

    Once is not enough: `wait_for` of Python 3.11, and the NATS client, can swallow it.
    """
    rest = {task for task in tasks if not task.done()}
    while rest:
        for task in rest:
            task.cancel()
        _, rest = await asyncio.wait(rest, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def tls_context(settings: Bus, url: str) -> ssl.SSLContext | None:
    """Return the TLS context for a broker; None where its address asks for none.

    Raises:
        ConfigurationError: A certificate or key that cannot be used.
    """
    _host, _port, secure = endpoint(url)
    if not secure:
        return None
    try:
        context = ssl.create_default_context(cafile=_text(settings.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None and settings.key is not None:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        where = f"bus: {settings.ca or ''} {settings.certificate or ''}"
        raise ConfigurationError((Finding(where, f"cannot be used: {error}"),)) from error
    return context


def password(settings: Bus) -> str | None:
    """Return the password of `user`; None where there is none.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if settings.password is None:
        return None
    try:
        return settings.password.read_text().strip()
    except OSError as error:
        finding = Finding(f"bus.password: {settings.password}", str(error.strerror))
        raise ConfigurationError((finding,)) from error


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
