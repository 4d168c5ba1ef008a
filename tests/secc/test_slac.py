"""Attenuation of the charging cable from the modem's frames."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable

import pytest

from agent.errors import DecodeError
from agent.vehicles.secc.slac import ETHERTYPE, Attenuation, SlacListener, Sound, parse_sound
from tests.secc.station import until

GROUPS = tuple(10 + number % 7 for number in range(58))
# CM_ATTEN_PROFILE.IND as pyslac 0.8.3 writes it
FRAME = bytes.fromhex("02000000000100b05200000188e10186600000bcf2aff2081c3a00") + bytes(GROUPS)


def test_golden_frame() -> None:
    assert parse_sound(FRAME) == Sound("bc:f2:af:f2:08:1c", GROUPS)


def test_other_messages_are_passed_over() -> None:
    assert parse_sound(FRAME[:15] + b"\x65\x60" + FRAME[17:]) is None


@pytest.mark.parametrize("length", [0, 10, 26, 27, len(FRAME) - 1])
def test_cut_frames_are_decode_errors(length: int) -> None:
    with pytest.raises(DecodeError):
        parse_sound(FRAME[:length])


def test_sounds_of_one_matching_are_averaged() -> None:
    attenuation = Attenuation()
    for number, level in enumerate((10, 20, 30)):
        attenuation.add(Sound("a", (level,) * 58), 0.1 * number)
    assert (attenuation.sounds, attenuation.mean_db) == (3, 20.0)
    attenuation.add(Sound("a", (4,)), 60.0)  # the next matching
    assert (attenuation.sounds, attenuation.mean_db) == (1, 4.0)
    attenuation.add(Sound("b", (8,)), 60.1)  # another vehicle
    assert attenuation.mean_db == 8.0


def test_before_the_first_sound_there_is_no_value() -> None:
    assert math.isnan(Attenuation().mean_db)


@pytest.mark.root
def test_sounds_are_heard_on_the_interface(cables: Callable[[], tuple[str, str]]) -> None:
    async def scenario() -> None:
        ours, theirs = cables()
        heard: list[Sound] = []
        listener = SlacListener(ours, heard.append)
        modem = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        modem.bind((theirs, ETHERTYPE))
        try:
            modem.send(FRAME[:40])
            modem.send(FRAME)
            await until(lambda: bool(heard), 5)
            assert heard == [Sound("bc:f2:af:f2:08:1c", GROUPS)]
            assert listener.malformed == 1
        finally:
            modem.close()
            listener.close()

    asyncio.run(scenario())
