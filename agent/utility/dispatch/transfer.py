"""A signed dispatch that the CSMS carries: OCPP DataTransfer, the token as its data."""

from __future__ import annotations

import time
from typing import Final

from agent.errors import RefusedError, SignatureError
from agent.utility.api.rate import RateLimit
from agent.utility.context import Transfer
from agent.utility.dispatch.desk import DispatchDesk, shown

VENDOR: Final = "v2g-agent"
MESSAGE: Final = "SignedDispatch"
SUBJECT: Final = "csms"


def taking(desk: DispatchDesk) -> Transfer:
    """Return what takes a DataTransfer of our `vendorId`."""
    limit = RateLimit(burst=30.0, per_s=5.0)

    async def take(message_id: str, data: object) -> tuple[str, object]:
        if message_id != MESSAGE:
            return "UnknownMessageId", None
        if not limit.allows(SUBJECT, time.monotonic()):
            return "Rejected", {"error": "too many tokens; at most 5 a second"}
        if not isinstance(data, str):
            return "Rejected", {"error": "data must be one compact JWS"}
        try:
            answer = await desk.take(data.strip(), SUBJECT)
        except (SignatureError, RefusedError) as error:
            return "Rejected", {"error": str(error)}
        return "Accepted", shown(answer)

    return take
