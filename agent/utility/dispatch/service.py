"""Signed dispatch as the settings ask for it."""

from __future__ import annotations

from agent.utility.context import Context
from agent.utility.dispatch import transfer
from agent.utility.dispatch.desk import DispatchDesk
from agent.utility.dispatch.keys import load_public_key
from agent.utility.dispatch.ledger import Ledger
from agent.utility.dispatch.token import Verifier


def desk_of(context: Context) -> DispatchDesk | None:
    """Return the desk; None where no public key is set.

    Raises:
        ConfigurationError: The key cannot be used.
    """
    settings = context.settings.dispatch
    if settings.public_key is None:
        return None
    gateway = context.settings.gateway
    verifier = Verifier(
        key=load_public_key(settings.public_key, settings.algorithm),
        algorithm=settings.algorithm,
        issuer=settings.issuer,
        audience=settings.audience or gateway.name,
        max_lifetime_s=settings.max_lifetime_s,
        max_skew_s=settings.max_skew_s,
    )
    ledger = Ledger(gateway.state_dir / f"{context.name}.dispatch", settings.max_skew_s)
    desk = DispatchDesk(
        context, verifier, ledger, accept_unsynchronised=settings.accept_unsynchronised_clock
    )
    context.transfers[transfer.VENDOR] = transfer.taking(desk)
    return desk
