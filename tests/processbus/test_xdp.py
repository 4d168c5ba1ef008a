"""Short SV frames taken in the driver: what is taken, what goes on, and who may do it."""

import contextlib
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loguru import logger

from agent.config.sections import read_section
from agent.config.settings import ProcessBus, Settings
from agent.errors import UnavailableError
from agent.firewall import xdp_drop_in
from agent.processbus.capture import ebpf
from agent.processbus.capture.ebpf import Instruction
from agent.processbus.capture.source import CaptureOptions, InterfaceSource
from agent.processbus.capture.xdp import LONGEST, SLOT, XdpRing
from agent.processbus.sv.encode import SvStream, encode_frame
from tests.processbus.conftest import GOOSE, OTHER, SV, SV_LONG, SV_TAGGED, send

TAGGED_OTHER = SV_TAGGED.replace(b"\x88\xba", b"\x08\x00")
NOBODY = "65534"
UNIT = Path(__file__).resolve().parents[2] / "systemd" / "v2g-processbus.service"
CAPTURE = """
import sys
from agent.processbus.capture.source import CaptureOptions, InterfaceSource
source = InterfaceSource(sys.argv[1], CaptureOptions(goose=False, xdp=True))
print("ready", flush=True)
sys.stdin.readline()
source.take(), source.take()
print(source.by_xdp, source.received, flush=True)
"""


def octets_of(ring, seconds=1.0, count=1):
    found = []
    end_s = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end_s:
        frames = ring.take()
        found += [frames.octets(n) for n in range(len(frames))]
        time.sleep(0.002)
    return found


@contextlib.contextmanager
def opened(interface, slots=1024):
    ring = XdpRing(interface, slots)
    try:
        yield ring
    finally:
        ring.close()


@pytest.mark.root
def test_short_sampled_values_with_or_without_a_tag_are_taken_and_nothing_else(xdp):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as stack:
        stack.bind((xdp[1], 3))
        stack.settimeout(2)
        everything = iter(lambda: stack.recv(2048), b"")
        ours = (frame for frame in everything if frame[6:12] == SV[6:12])
        with opened(xdp[1]) as ring:
            send(xdp[0], OTHER, SV, GOOSE, SV_TAGGED, SV_LONG, TAGGED_OTHER, SV[:25])
            assert octets_of(ring, count=2) == [SV, SV_TAGGED]
            passed = list(itertools.islice(ours, 4))
    untagged = TAGGED_OTHER[:12] + TAGGED_OTHER[16:]
    assert passed == [OTHER, GOOSE, SV_LONG, untagged]


@pytest.mark.root
def test_the_longest_frame_that_is_taken_fits_its_slot(xdp):
    fits, too_long = SV.ljust(LONGEST, b"\1"), SV.ljust(LONGEST + 1, b"\2")
    with opened(xdp[1]) as ring:
        send(xdp[0], fits, too_long, SV)
        assert octets_of(ring, count=2) == [fits, SV]
    assert len(fits) < SLOT


@pytest.mark.root
def test_a_source_has_each_frame_once_whichever_way_it_came(xdp):
    source = InterfaceSource(xdp[1], CaptureOptions(xdp=True))
    send(xdp[0], SV, SV_LONG, GOOSE, OTHER)
    time.sleep(0.2)
    taken = source.take()
    assert sorted(frames.octets(0) for frames in taken.sv) == sorted([SV, SV_LONG])
    assert [taken.goose.octets(n) for n in range(len(taken.goose))] == [GOOSE]
    assert len(source.take()) == 0
    assert (source.received, source.by_xdp, source.dropped) == (3, 1, 0)
    source.close()


@pytest.mark.root
def test_frames_carry_the_time_at_which_the_driver_had_them(xdp):
    with opened(xdp[1]) as ring:
        before_ns = time.time_ns()
        send(xdp[0], *[SV] * 50)
        after_ns = time.time_ns()
        time.sleep(0.1)
        stamps = ring.take().time_ns
    assert before_ns <= stamps[0] <= stamps[-1] <= after_ns + 50_000_000
    assert (stamps[1:] >= stamps[:-1]).all()


@pytest.mark.root
def test_slots_are_used_again_and_what_found_none_is_counted(xdp):
    with opened(xdp[1]) as ring:
        for turn in range(5):
            frames = [encode_frame(SvStream(), [turn * 300 + n], [bytes(64)]) for n in range(300)]
            send(xdp[0], *frames)
            assert octets_of(ring, count=300) == frames
        assert len(ring.take()) == 0
        assert ring.dropped == 0
        send(xdp[0], *[SV] * 2000)
        assert octets_of(ring, count=1024) == [SV] * 1024
        send(xdp[0], SV_TAGGED)
        assert octets_of(ring) == [SV_TAGGED]
    assert ring.dropped == 976
    assert ring.received == 1500 + 1024 + 1


@pytest.mark.root
def test_after_the_end_frames_go_to_the_network_stack_again(xdp):
    XdpRing(xdp[1], 1024).close()
    source = InterfaceSource(xdp[1], CaptureOptions())
    send(xdp[0], SV)
    time.sleep(0.1)
    assert len(source.take()) == 1
    source.close()


@pytest.mark.root
def test_a_second_program_at_an_interface_is_refused_by_name(xdp):
    with opened(xdp[1]), pytest.raises(UnavailableError, match=f"{xdp[1]}.*another XDP program"):
        XdpRing(xdp[1], 1024)


@pytest.mark.root
def test_a_killed_process_leaves_no_program_behind(xdp):
    process = capture_as(xdp[1])
    process.kill()
    process.wait()
    end_s = time.monotonic() + 5
    while True:
        try:
            XdpRing(xdp[1], 1024).close()
            return
        except UnavailableError:
            assert time.monotonic() < end_s
            time.sleep(0.05)


def capture_as(interface, *prefix):
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", CAPTURE, interface],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def rights_of_the_unit(capture):
    """Capabilities of `v2g-processbus.service` with the drop-in of `v2g-ctl firewall --write`."""
    settings = Settings(path=UNIT.parent, process_bus=ProcessBus(capture=capture))
    lines = (UNIT.read_text() + xdp_drop_in(settings)).splitlines()
    found = [line.split("=")[1] for line in lines if line.startswith("AmbientCapabilities=")]
    return ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in " ".join(found).split())


@pytest.mark.root
@pytest.mark.parametrize(
    ("capture", "by_xdp", "said"),
    [("xdp", 1, ""), ("packet", 0, "it needs CAP_BPF")],
)
def test_the_units_rights_with_the_drop_in_are_enough_and_without_it_packets_are_captured(
    xdp, capture, by_xdp, said
):
    only = f"-all,{rights_of_the_unit(capture)}"
    process = capture_as(
        xdp[1], "setpriv", "--reuid", NOBODY, "--clear-groups",
        "--bounding-set", only, "--inh-caps", only, "--ambient-caps", only,
    )  # fmt: skip
    send(xdp[0], SV)
    time.sleep(0.2)
    answer, log = process.communicate("\n", timeout=20)
    assert answer.split() == [str(by_xdp), "1"]
    assert said in log


@pytest.mark.root
def test_an_interface_without_room_for_the_program_says_why_and_captures_packets(xdp):
    said = []
    sink = logger.add(lambda message: said.append(str(message)), level="WARNING")
    try:
        with opened(xdp[1]):
            source = InterfaceSource(xdp[1], CaptureOptions(xdp=True))
    finally:
        logger.remove(sink)
    send(xdp[0], SV)
    time.sleep(0.1)
    assert len(source.take()) == 1
    assert source.by_xdp == 0
    source.close()
    assert xdp[1] in said[0]
    assert "another XDP program is at work" in said[0]


@pytest.mark.parametrize("key", ["sv", "hardware_time"])
def test_what_cannot_stand_beside_xdp_is_named(key):
    table = {"capture": "xdp", "sv": ["MU1"], "hardware_time": True}
    assert read_section(ProcessBus, {"capture": "xdp"}, "processbus")[0] is not None
    section, findings = read_section(ProcessBus, {k: table[k] for k in ("capture", key)}, "p")
    assert section is None
    assert [finding.where for finding in findings] == [f"p.{key}"]


def test_instructions_are_exact_octets_and_jumps_count_from_the_next_one():
    code = ebpf.assemble(
        [
            Instruction(ebpf.JUMP_EQUAL_IMM, 3, immediate=0xBA88, label="end"),
            "again",
            Instruction(ebpf.ADD_IMM, 2, immediate=-4),
            *ebpf.load_map(1, 5),
            Instruction(ebpf.JUMP_GREATER, 1, 8, label="again"),
            "end",
            Instruction(ebpf.EXIT),
        ]
    )
    assert code.hex(" ", 8) == (
        "1503040088ba0000 07020000fcffffff 1811000005000000 0000000000000000 "
        "2d81fcff00000000 9500000000000000"
    )


def test_a_jump_to_nowhere_is_refused():
    with pytest.raises(KeyError, match="nowhere"):
        ebpf.assemble([Instruction(ebpf.JUMP_GREATER, 1, 2, label="nowhere")])


@pytest.mark.root
def test_the_verifiers_last_words_are_in_the_error(xdp):
    with pytest.raises(OSError, match="R0"):
        ebpf.load_xdp(ebpf.assemble([Instruction(ebpf.EXIT)]))
