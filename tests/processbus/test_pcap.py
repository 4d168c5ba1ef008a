"""pcap and pcapng files in every byte order and resolution."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigurationError
from agent.processbus.capture import pcap
from agent.processbus.capture.pcap import CaptureFile

MAGIC = {False: 0xA1B2C3D4, True: 0xA1B23C4D}


def classic(frames, times_ns, order="<", nano=True, link=1):
    header = struct.pack(f"{order}IHHiIII", MAGIC[nano], 2, 4, 0, 0, 65535, link)
    return header + b"".join(
        struct.pack(f"{order}IIII", t // 10**9, t % 10**9 // (1 if nano else 1000), len(f), len(f))
        + f
        for f, t in zip(frames, times_ns, strict=True)
    )


def option(order, code, value):
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(order, kind, body):
    length = 12 + len(body)
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def pcapng(frames, times_ns, order="<", resolution=9, link=1):
    section = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
    interface = struct.pack(f"{order}HHI", link, 0, 0) + option(order, 9, bytes([resolution]))
    ticks = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    data = block(order, 0x0A0D0D0A, section) + block(order, 1, interface)
    for frame, t in zip(frames, times_ns, strict=True):
        stamp = t * ticks // 10**9
        head = struct.pack(
            f"{order}IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)
        )
        data += block(order, 6, head + frame + bytes(-len(frame) % 4))
    return data


def read(tmp_path, data):
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    file = CaptureFile(path)
    found = [
        (frames.octets(n), int(frames.time_ns[n]))
        for frames in file.frames()
        for n in range(len(frames))
    ]
    return file, found


FRAMES = [bytes([n % 251]) * (126 if n % 40 else 60 + n % 7) for n in range(500)]
TIMES = [1_700_000_000_000_000_000 + n * 250_000 for n in range(500)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_classic_files(tmp_path, order, nano):
    file, found = read(tmp_path, classic(FRAMES, TIMES, order, nano))
    assert found == list(zip(FRAMES, TIMES, strict=True))
    assert file.damaged_at is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("resolution", [6, 9, 0x80 | 20])
def test_pcapng_files(tmp_path, order, resolution):
    _, found = read(tmp_path, pcapng(FRAMES, TIMES, order, resolution))
    assert [frame for frame, _ in found] == FRAMES
    assert np.abs(np.array([t for _, t in found]) - TIMES).max() <= 1000


def test_pcapng_offset_and_unknown_blocks(tmp_path):
    order = "<"
    section = block(order, 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = struct.pack("<HHI", 1, 0, 0) + option(order, 14, struct.pack("<q", 100))
    packet = struct.pack("<IIIII", 0, 0, 5_000_000, 4, 4) + b"abcd"
    data = section + block(order, 1, interface) + block(order, 0xBAD, bytes(8))
    _, found = read(tmp_path, data + block(order, 6, packet))
    assert found == [(b"abcd", 105_000_000_000)]


def test_a_file_longer_than_one_stretch(tmp_path, monkeypatch):
    monkeypatch.setattr(pcap, "STRETCH", 1000)
    _, found = read(tmp_path, classic(FRAMES, TIMES))
    assert found == list(zip(FRAMES, TIMES, strict=True))
    _, found = read(tmp_path, pcapng(FRAMES, TIMES))
    assert found == list(zip(FRAMES, TIMES, strict=True))


@pytest.mark.parametrize("writer", [classic, pcapng])
def test_a_file_that_is_cut_off_gives_what_comes_before(tmp_path, writer):
    file, found = read(tmp_path, writer(FRAMES, TIMES)[:-7])
    assert [frame for frame, _ in found] == FRAMES[:-1]
    assert file.damaged_at is not None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a pcap"),
        (b"hello world, this is no capture", "not a pcap"),
        (classic([], [], link=113), "link type 113"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, data, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        read(tmp_path, data)
    assert "x.pcap" in str(caught.value)


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        CaptureFile(tmp_path / "none.pcap")


@settings(max_examples=150)
@given(data=st.data(), writer=st.sampled_from([classic, pcapng]))
def test_no_damage_raises(tmp_path_factory, data, writer):
    octets = bytearray(writer(FRAMES[:60], TIMES[:60]))
    for _ in range(data.draw(st.integers(1, 8))):
        octets[data.draw(st.integers(24, len(octets) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.pcap"
    path.write_bytes(octets)
    for frames in CaptureFile(path).frames():
        assert (frames.start + frames.length <= len(frames.buffer)).all()
