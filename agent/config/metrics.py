"""`[metrics]`: Prometheus metrics, off unless an operator wants them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.config.sections import Section


class Metrics(Section, frozen=True, kw_only=True):
    """Where metrics are served. They show power and states of single EVSEs, but no identity."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9464
    """0 takes any free port."""
    per_evse: bool = True
    """A series for each EVSE; off where thousands of them would be too many."""
