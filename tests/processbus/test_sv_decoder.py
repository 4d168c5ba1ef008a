"""The vectorised decoder against a frame-by-frame reading of the same octets."""

import dataclasses

import numpy as np
import pytest

from agent.processbus.frames import Frames, frames_from_bytes
from agent.processbus.sv.decoder import SvDecoder
from agent.processbus.sv.encode import FrameBuilder, SvStream
from agent.processbus.sv.layout import parse


def rows_of(stream: SvStream, count: int, seed: int = 1) -> list[bytes]:
    random = np.random.default_rng(seed)
    values = random.integers(-(2**31), 2**31, (count, stream.channels))
    quality = random.integers(0, 2**14, (count, stream.channels))
    rows = FrameBuilder(stream).build(np.arange(count), values, quality, np.arange(count) % 3)
    return [row.tobytes() for row in rows]


def one_by_one(frames: Frames) -> list[tuple]:
    """What a reading of each frame alone finds: (svID, smpCnt, synch, data)."""
    found = []
    for number in range(len(frames)):
        frame = frames.octets(number)
        layout = parse(frame, int(frames.vlan[number]))
        found += [
            (
                layout.sv_id,
                int.from_bytes(frame[place.smp_cnt : place.smp_cnt + 2], "big"),
                frame[place.smp_synch],
                frame[place.samples : place.samples + layout.data_length],
            )
            for place in layout.asdus
        ]
    return found


def all_at_once(decoder: SvDecoder, frames: Frames) -> list[tuple]:
    return [
        (
            decoder.entries[entry].layout.sv_id,
            int(cnt),
            int(synch),
            data.tobytes(),
        )
        for block in decoder.decode(frames)
        for entry, cnt, synch, data in zip(
            block.entry, block.smp_cnt, block.smp_synch, block.data, strict=True
        )
    ]


STREAMS = [
    SvStream(),
    SvStream(sv_id="MU02"),
    SvStream(sv_id="MU03", appid=0x4001, source=bytes.fromhex("020000000003")),
    SvStream(sv_id="LONGER-NAME", asdus=2, channels=9),
    SvStream(sv_id="SIX", asdus=6, channels=8, smp_rate=4800, smp_mod=1),
    SvStream(sv_id="EIGHT", asdus=8, channels=3, dat_set="MU/LLN0$Ds"),
    SvStream(sv_id="TAGGED", vlan=0x8005, with_refr_tm=True),
    SvStream(sv_id="SIMULATED", simulated=True),
]


def test_mixed_streams_decode_as_if_read_one_by_one():
    mixed = [frame for s, stream in enumerate(STREAMS) for frame in rows_of(stream, 48, s)]
    order = np.random.default_rng(7).permutation(len(mixed))
    frames = frames_from_bytes([mixed[n] for n in order], range(len(mixed)))
    decoder = SvDecoder()
    assert sorted(all_at_once(decoder, frames)) == sorted(one_by_one(frames))
    assert decoder.counters.decoded == len(mixed)
    assert len(decoder.entries) == len(STREAMS)


def test_streams_that_share_everything_but_svid_are_told_apart():
    streams = [SvStream(sv_id=f"MU{number:02d}") for number in range(20)]
    frames = frames_from_bytes(
        [frame for s, stream in enumerate(streams) for frame in rows_of(stream, 4, s)], range(80)
    )
    decoder = SvDecoder()
    assert sorted(all_at_once(decoder, frames)) == sorted(one_by_one(frames))


def test_a_tag_that_the_kernel_took_out_is_part_of_the_identity():
    frames = frames_from_bytes(rows_of(SvStream(), 4), range(4))
    tagged = dataclasses.replace(frames, vlan=np.array([10, 10, 20, -1]))
    decoder = SvDecoder()
    assert len(all_at_once(decoder, tagged)) == 4
    assert [entry.layout.header.vlan for entry in decoder.entries] == [10, 20, -1]


def test_a_layout_that_changes_in_flight_is_learnt_again():
    before = rows_of(SvStream(conf_rev=1), 10)
    after = rows_of(SvStream(conf_rev=2, channels=9), 10)
    decoder = SvDecoder()
    for frame in before + after:
        frames = frames_from_bytes([frame], [0])
        assert sorted(all_at_once(decoder, frames)) == sorted(one_by_one(frames))
    assert [entry.layout.conf_rev for entry in decoder.entries] == [1, 2]


@pytest.mark.parametrize("offset", [*range(39), *range(41, 49), 50, 51])
def test_a_changed_octet_outside_the_samples_is_never_taken_for_the_stream(offset):
    good = rows_of(SvStream(), 2)
    decoder = SvDecoder()
    all_at_once(decoder, frames_from_bytes(good[:1], [0]))
    changed = bytearray(good[1])
    changed[offset] ^= 0x41
    frames = frames_from_bytes([bytes(changed)], [0])
    for block in decoder.decode(frames):
        assert (block.entry != 0).all()


def test_a_flood_of_unknown_frames_costs_a_bounded_number_of_readings():
    streams = [SvStream(sv_id=f"X{number:04d}") for number in range(500)]
    flood = frames_from_bytes([rows_of(stream, 1)[0] for stream in streams], range(500))
    decoder = SvDecoder(parse_budget=16)
    assert len(all_at_once(decoder, flood)) == 16
    assert decoder.counters.unknown == 484


def test_frames_too_short_or_too_long_are_counted():
    frames = frames_from_bytes([b"", b"abc", bytes(25), bytes(1600), bytes(60)], range(5))
    decoder = SvDecoder()
    assert all_at_once(decoder, frames) == []
    assert decoder.counters.malformed == 5


def test_no_frames_are_no_samples():
    assert list(SvDecoder().decode(frames_from_bytes([], []))) == []
