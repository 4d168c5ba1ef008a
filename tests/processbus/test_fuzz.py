"""Mutated frames by the million: nothing escapes, nothing wrong is decoded as a known stream."""

import numpy as np
import pytest

from agent.errors import DecodeError
from agent.processbus.goose import pdu
from agent.processbus.goose.publisher import BayPublisher
from agent.processbus.sv.decoder import NONSENSE, SvDecoder
from agent.processbus.sv.encode import FrameBuilder, SvStream
from agent.processbus.sv.layout import parse
from tests.processbus.conftest import frames_of_rows

BATCH = 20_000
SHAPES = (
    SvStream(),
    SvStream(sv_id="TWO", asdus=2, channels=9, dat_set="A/LLN0$B", smp_rate=4800, smp_mod=1),
    SvStream(sv_id="SIX", asdus=6, with_refr_tm=True, vlan=0x8003),
)


def mutate(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to four octets of every row changed, anywhere."""
    changed = rows.copy()
    for _ in range(4):
        which = rng.random(len(rows)) < 0.5
        column = rng.integers(0, rows.shape[1], len(rows))
        changed[which, column[which]] = rng.integers(0, 256, int(which.sum()))
    return changed


def campaign(frames: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    done = 0
    while done < frames:
        stream = SHAPES[done // BATCH % len(SHAPES)]
        values = rng.integers(-(2**31), 2**31, (BATCH * stream.asdus, stream.channels))
        honest = FrameBuilder(stream).build(np.arange(BATCH * stream.asdus) % 4000, values)
        decoder = SvDecoder(parse_budget=8 * NONSENSE)
        list(decoder.decode(frames_of_rows(honest[:1], np.zeros(1))))
        layout = decoder.entries[0].layout
        rows = mutate(honest, rng)
        check_batch(decoder, layout, honest, rows)
        done += BATCH
    return done


def check_batch(decoder, layout, honest, rows):
    """What is decoded as stream 0 has every fixed octet untouched, and reads as it is written."""
    fixed = np.ones(rows.shape[1], dtype=bool)
    for begin, size in layout.changing:
        fixed[begin : begin + size] = False
    untouched = ~((rows != honest[0]) & fixed).any(axis=1)
    asdus = len(layout.asdus)
    decoded = 0
    for block in decoder.decode(frames_of_rows(rows, np.arange(len(rows)))):
        mine = block.entry == 0
        if not mine.any():
            continue
        decoded += int(mine.sum())
        source = block.time_ns[mine]
        place_of = np.tile(np.arange(asdus), len(source) // asdus)
        for number, place in enumerate(layout.asdus):
            these = place_of == number
            frame = rows[source[these]]
            span = slice(place.samples, place.samples + layout.data_length)
            assert np.array_equal(block.data[mine][these], frame[:, span])
            count = frame[:, place.smp_cnt].astype(int) << 8 | frame[:, place.smp_cnt + 1]
            assert np.array_equal(block.smp_cnt[mine][these], count)
    assert decoded == int(untouched.sum()) * asdus


def goose_campaign(frames: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    honest = np.frombuffer(BayPublisher().due(50.0, True, 0.0, 1_700_000_000 * 10**9), np.uint8)
    accepted = 0
    for _ in range(frames):
        octets = honest.copy()
        places = rng.integers(0, len(octets), rng.integers(1, 6))
        octets[places] = rng.integers(0, 256, len(places))
        cut = len(octets) if rng.random() < 0.8 else int(rng.integers(0, len(octets)))
        try:
            pdu.decode_frame(octets[:cut].tobytes())
            accepted += 1
        except DecodeError:
            pass
    return accepted


def random_campaign(frames: int, seed: int) -> None:
    """Octets without any structure, and cut frames, of every length."""
    rng = np.random.default_rng(seed)
    honest = FrameBuilder(SvStream()).build(np.zeros(1), np.zeros((1, 8)))[0]
    for _ in range(frames):
        octets = honest[: rng.integers(0, len(honest))].tobytes()
        octets += rng.bytes(int(rng.integers(0, 40)))
        try:
            parse(octets)
        except DecodeError:
            pass


def test_mutated_sampled_values_sample():
    assert campaign(200_000, seed=1) >= 200_000


def test_mutated_goose_sample():
    assert 0 < goose_campaign(6_000, seed=2) < 6_000


def test_cut_and_random_frames_sample():
    random_campaign(10_000, seed=3)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_mutated_frames_campaign(part, record_property):
    """Ten parts of 1e7 frames: sampled values, a hundredth of GOOSE, a hundredth cut or random."""
    done = campaign(9_800_000, seed=100 + part)
    decoded = goose_campaign(100_000, seed=200 + part)
    random_campaign(100_000, seed=300 + part)
    record_property(f"part {part}: mutated frames", done + 200_000)
    record_property(f"part {part}: GOOSE frames that still decode", decoded)
    assert done >= 9_800_000
