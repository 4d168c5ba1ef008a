"""The ring on a real interface pair, and the virtual bus."""

import os
import socket
import time

import numpy as np
import pytest

from agent.errors import UnavailableError
from agent.processbus.capture import bpf, hardware_time
from agent.processbus.capture.ring import Ring, RingSettings
from agent.processbus.capture.source import (
    MOST_SLOTS,
    RING_S,
    CaptureOptions,
    InterfaceSource,
    open_source,
    slots_for,
    split,
)
from agent.processbus.capture.virtual import VirtualReceiver, VirtualSender
from agent.processbus.frames import ETHERTYPE_GOOSE, ETHERTYPE_SV, ether_types, frames_from_bytes
from agent.processbus.sv.encode import SvStream, encode_frame
from tests.processbus.conftest import GOOSE, OTHER, SV, SV_LONG, SV_TAGGED, send


def collect(take, count, seconds=5.0):
    found = []
    end_s = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end_s:
        frames = take()
        found += [(frames.octets(n), int(frames.vlan[n])) for n in range(len(frames))]
        time.sleep(0.005)
    return found


@pytest.mark.root
def test_only_sampled_values_reach_their_ring_with_or_without_a_tag(veth):
    ring = Ring(veth[1], bpf.accept(ETHERTYPE_SV), RingSettings(slot=2048, slots=1024))
    send(veth[0], OTHER, SV, GOOSE, SV_TAGGED, SV_LONG)
    found = collect(ring.take, 3)
    ring.close()
    untagged = SV_TAGGED[:12] + SV_TAGGED[16:]
    assert found == [(SV, -1), (untagged, 0x800A), (SV_LONG, -1)]


@pytest.mark.root
def test_short_and_long_frames_and_goose_have_their_own_rings(veth):
    source = InterfaceSource(veth[1], CaptureOptions())
    send(veth[0], SV, SV_LONG, GOOSE, OTHER)
    time.sleep(0.2)
    taken = source.take()
    assert sorted(frames.octets(0) for frames in taken.sv) == sorted([SV, SV_LONG])
    assert [taken.goose.octets(n) for n in range(len(taken.goose))] == [GOOSE]
    assert len(source.take()) == 0
    assert source.received == 3
    source.close()


@pytest.mark.root
def test_time_stamps_are_the_kernels_where_the_card_has_none(veth):
    wanted = RingSettings(slot=2048, slots=1024, hardware_time=True)
    ring = Ring(veth[1], bpf.accept(ETHERTYPE_SV), wanted)
    before_ns = time.time_ns()
    send(veth[0], SV)
    after_ns = time.time_ns()
    time.sleep(0.1)
    assert before_ns <= ring.take().time_ns[0] <= after_ns + 50_000_000
    assert ring.card_stamped == 0
    ring.close()


@pytest.mark.root
def test_the_ring_goes_round_and_counts_what_did_not_fit(veth):
    ring = Ring(veth[1], bpf.accept(ETHERTYPE_SV), RingSettings(slot=256, slots=1024))
    for turn in range(5):
        send(
            veth[0], *[encode_frame(SvStream(), [turn * 300 + n], [bytes(64)]) for n in range(300)]
        )
        assert len(collect(ring.take, 300)) == 300
    assert len(ring.take()) == 0
    assert ring.dropped == 0
    send(veth[0], *[SV] * 2000)
    time.sleep(0.2)
    collect(ring.take, 1024, 1.0)
    ring.close()
    assert ring.dropped == 976


@pytest.mark.root
def test_a_slot_that_another_core_still_fills_is_waited_for(veth):
    ring = Ring(veth[1], bpf.accept(ETHERTYPE_SV), RingSettings(slot=256, slots=1024))
    frames = [encode_frame(SvStream(), [n], [bytes(64)]) for n in range(70)]
    send(veth[0], *frames)
    time.sleep(0.2)
    ring._words[9, 0] = 0
    assert collect(ring.take, 9, 0.1) == [(frame, -1) for frame in frames[:9]]
    ring._words[9, 0] = 1
    assert collect(ring.take, 61) == [(frame, -1) for frame in frames[9:]]
    ring.close()


@pytest.mark.root
def test_two_sockets_of_a_group_share_the_streams(veth):
    fanout = (os.getpid() & 0xFFFF, 2)
    rings = [
        Ring(veth[1], bpf.accept(ETHERTYPE_SV), RingSettings(slots=1024, fanout=fanout))
        for _ in range(2)
    ]
    streams = [SvStream(appid=0x4000 + number) for number in range(8)]
    send(veth[0], *[encode_frame(stream, [0], [bytes(64)]) for stream in streams])
    time.sleep(0.2)
    appids = [
        {int.from_bytes(octets[14:16], "big") for octets, _ in collect(ring.take, 4, 1.0)}
        for ring in rings
    ]
    for ring in rings:
        ring.close()
    assert sorted(map(len, appids)) == [4, 4]
    assert not appids[0] & appids[1]


@pytest.mark.root
def test_two_captures_of_a_group_share_short_and_long_frames_alike(veth):
    group = (os.getpid() * 2 & 0xFFFE, 2)
    sources = [InterfaceSource(veth[1], CaptureOptions(fanout=group)) for _ in range(2)]
    short = [SvStream(appid=0x4000 + number) for number in range(8)]
    sixes = [SvStream(appid=0x4100 + number, asdus=6) for number in range(8)]
    frames = [encode_frame(stream, [0], [bytes(64)]) for stream in short]
    frames += [encode_frame(stream, list(range(6)), [bytes(64)] * 6) for stream in sixes]
    send(veth[0], *frames)
    time.sleep(0.3)
    found = [sum(len(frames) for frames in source.take().sv) for source in sources]
    for source in sources:
        source.close()
    assert found == [8, 8]


@pytest.mark.parametrize("streams", [0, 1, 40, 100, 170])
def test_the_ring_holds_what_the_scl_announces_for_more_than_half_a_second(streams):
    """At 256 octets a slot: 32 MB for a usual site, 128 MB for a full gigabit."""
    slots = slots_for(streams * 4800)
    assert 1 << 17 <= slots <= MOST_SLOTS
    assert slots >= RING_S * streams * 4800


@pytest.mark.root
def test_a_card_without_time_stamps_is_named(veth):
    assert "no hardware time stamps" in hardware_time.missing(veth[1])
    assert hardware_time.missing("nowhere0")


def test_an_interface_that_does_not_exist_names_those_that_do():
    with pytest.raises(UnavailableError) as caught:
        open_source("nowhere0")
    for _, name in socket.if_nameindex():
        assert name in str(caught.value)


def test_the_filter_is_exact_octets():
    program = bpf.pack(bpf.accept(ETHERTYPE_GOOSE, longest=176))
    assert len(program) % 8 == 0
    assert program[:8].hex() == "280000000c000000"
    assert ETHERTYPE_GOOSE.to_bytes(4, "little") in program


def test_a_virtual_bus_has_many_ends(tmp_path):
    bus = tmp_path / "bus"
    receivers = [VirtualReceiver(bus), VirtualReceiver(bus)]
    senders = [VirtualSender(bus), VirtualSender(bus)]
    senders[0].send([SV, SV_TAGGED])
    senders[1].send([GOOSE])
    for receiver in receivers:
        found = {octets for octets, _ in collect(receiver.take, 3)}
        assert found == {SV, SV_TAGGED, GOOSE}
    for end in (*receivers, *senders):
        end.close()
    assert list(tmp_path.iterdir()) == []


def test_a_virtual_bus_forgets_receivers_that_were_killed(tmp_path):
    left_behind = tmp_path / "bus.1-0.rx"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(str(left_behind))
    sock.close()
    sender = VirtualSender(tmp_path / "bus")
    sender.send([SV])
    assert not left_behind.exists()


def test_a_receiver_that_does_not_read_costs_the_sender_nothing(tmp_path):
    receiver = VirtualReceiver(tmp_path / "bus")
    sender = VirtualSender(tmp_path / "bus")
    begin_s = time.monotonic()
    for _ in range(2000):
        sender.send([SV_LONG] * 8)
    assert time.monotonic() - begin_s < 30
    assert len(receiver.take()) == 0 or receiver.received > 0
    sender.close()
    receiver.close()


def test_a_mixture_is_split_by_ethertype_behind_any_tag():
    frames = frames_from_bytes([SV, SV_TAGGED, GOOSE, OTHER, b"short"], range(5))
    kinds, payload = ether_types(frames)
    assert kinds.tolist()[:4] == [ETHERTYPE_SV, ETHERTYPE_SV, ETHERTYPE_GOOSE, 0x0800]
    assert payload.tolist()[:4] == [14, 18, 14, 14]
    taken = split(frames)
    assert [len(part) for part in taken.sv] == [2]
    assert len(taken.goose) == 1
    assert np.array_equal(taken.sv[0].length, [len(SV), len(SV_TAGGED)])
