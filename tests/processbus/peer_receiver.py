"""Receive a generator's frames with another library, and print CPU seconds a frame as JSON.

`python -m tests.processbus.peer_receiver --kind libiec61850 --interface IF --streams 4`, after its
line `ready`. Each reads what ours reads of every frame: the counter and the samples.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

FIRST_APPID = 0x4000


def with_open61850(interface: str, _streams: int, until_s: float) -> Callable[[], int]:
    from open61850 import sv
    from open61850.capture import PacketCapture

    capture = PacketCapture(interface, (0x88BA,), outgoing=False)
    count = 0
    while time.monotonic() < until_s:
        frame = capture.recv()
        if frame is None:
            continue
        decoded = sv.decode_sv_frame(frame.data)
        assert decoded is not None
        for asdu in decoded[1].asdus:
            sv.decode_int32_samples(asdu.sample)
        count += 1
    capture.close()
    return lambda: count


def with_libiec61850(interface: str, streams: int, until_s: float) -> Callable[[], int]:
    """The library's SVReceiver and SVSubscriber, as pyiec61850-ng carries them."""
    folder = Path(sysconfig.get_paths()["purelib"]) / "pyiec61850_ng.libs"
    library = ctypes.CDLL(str(next(folder.glob("libiec61850*.so*"))))
    library.SVReceiver_create.restype = ctypes.c_void_p
    library.SVSubscriber_create.restype = ctypes.c_void_p
    pointer = ctypes.c_void_p
    receiver = pointer(library.SVReceiver_create())
    library.SVReceiver_setInterfaceId(receiver, interface.encode())
    library.SVReceiver_disableDestAddrCheck(receiver)
    count = 0

    @ctypes.CFUNCTYPE(None, pointer, pointer, pointer)
    def heard(_subscriber: int, _parameter: int, asdu: int) -> None:
        nonlocal count
        count += 1
        library.SVSubscriber_ASDU_getSmpCnt(pointer(asdu))
        for channel in range(8):
            library.SVSubscriber_ASDU_getINT32(pointer(asdu), 8 * channel)

    for number in range(streams):
        subscriber = pointer(library.SVSubscriber_create(None, FIRST_APPID + number))
        library.SVSubscriber_setListener(subscriber, heard, None)
        library.SVReceiver_addSubscriber(receiver, subscriber)
    library.SVReceiver_startThreadless(receiver)
    while time.monotonic() < until_s:
        if not library.SVReceiver_tick(receiver):
            time.sleep(0.0005)
    library.SVReceiver_stopThreadless(receiver)
    return lambda: count


KINDS = {"open61850": with_open61850, "libiec61850": with_libiec61850}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    print("ready", flush=True)
    begun_s = time.process_time()
    until_s = time.monotonic() + arguments.seconds
    frames = KINDS[arguments.kind](arguments.interface, arguments.streams, until_s)()
    used_s = time.process_time() - begun_s
    print(json.dumps({"frames": frames, "cpu_s_per_frame": used_s / max(frames, 1)}), flush=True)


if __name__ == "__main__":
    main()
