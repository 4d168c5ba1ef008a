"""Typed messages between the processes, over Unix sockets.

SOCK_SEQPACKET keeps message borders and tells at once when the other side died. A `Hub` belongs
to the daemon, a `Link` to every worker and tool. Nothing here blocks: what a full socket buffer
cannot take waits in an outbox where the newest message of a key replaces the older one, so a
stalled process costs the others nothing and hears only the latest when it comes back.
"""

from agent.link.connection import BATCH, Batched
from agent.link.hub import HELLO_TIMEOUT_S, Hub, HubEvents, Peer
from agent.link.worker import Link

__all__ = ["BATCH", "HELLO_TIMEOUT_S", "Batched", "Hub", "HubEvents", "Link", "Peer"]
