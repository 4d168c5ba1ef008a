"""Who may say that he is what: the user of a process, which the kernel vouches for, and its role.

Under systemd each worker runs as a user of its own (`v2g-ied`, `v2g-stations`…). Such a user has
one role and no other, so that whoever takes a worker over cannot speak as an operator. Everyone
else who may open the socket, root and members of group `v2g`, is taken at his word.
"""

from __future__ import annotations

import pwd
from typing import Final

from agent.messages import Role

PREFIX: Final = "v2g-"


def permits(uid: int, role: Role) -> bool:
    """Tell whether a process of this user may have this role."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return True  # a user that only a container knows; the socket's mode admitted it
    return not name.startswith(PREFIX) or name == f"{PREFIX}{role}"
