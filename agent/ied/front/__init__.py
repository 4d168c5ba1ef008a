"""The front of the IED: who may connect, how many, how long; TLS ends here."""

from agent.ied.front.server import Front, Limits

__all__ = ["Front", "Limits"]
