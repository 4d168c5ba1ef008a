"""Read a request's body within its bounds of size and time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

BODY_S: Final = 10.0


async def read_body(request: Request, most: int) -> bytes:
    """Return the body.

    Raises:
        HTTPException: 413 when it is longer than `most` bytes, 408 when it does not come.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise HTTPException(413, f"at most {most} bytes")
    parts = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                parts += part
                if len(parts) > most:
                    raise HTTPException(413, f"at most {most} bytes")
    except TimeoutError as error:
        raise HTTPException(408, "the body did not come in time") from error
    return bytes(parts)


def peer_of(request: Request) -> str:
    """Return the address of the client."""
    return request.client.host if request.client else "unknown"
