"""Whether a network card stamps what it receives (Linux ``timestamping.rst``, SIOCGHWTSTAMP).

Reading the setting needs no right; changing it does, and is the administrator's:
``hwstamp_ctl -i eth0 -r 1``, with ``phc2sys`` to keep the card's clock on UTC. A frame without a
stamp of the card carries the kernel's, so nothing is lost where there is none.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
from typing import Final

_SIOCGHWTSTAMP: Final = 0x89B1
_CONFIG: Final = struct.Struct("iii")
"""struct hwtstamp_config: flags, tx_type, rx_filter."""
_RX_FILTER_ALL: Final = 1
_NAME: Final = 16
_UNSUPPORTED: Final = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY)


def missing(interface: str) -> str:
    """Why frames of an interface have no stamp of its card; empty where they have."""
    config = ctypes.create_string_buffer(_CONFIG.size)
    request = struct.pack(f"{_NAME}sP8x", interface.encode(), ctypes.addressof(config))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            fcntl.ioctl(probe, _SIOCGHWTSTAMP, request)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return "its driver has no hardware time stamps"
            return error.strerror or str(error)
    _, _, rx_filter = _CONFIG.unpack(config.raw)
    if rx_filter == _RX_FILTER_ALL:
        return ""
    return f"they are not on for every frame; hwstamp_ctl -i {interface} -r 1"
