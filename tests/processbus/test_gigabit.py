"""A gigabit of merging units over a real interface pair; the figures are the benchmark's."""

import pytest

from tests.bench.processbus import wire_figures


@pytest.fixture(params=["packet", "xdp"])
def capture(request):
    """Arguments of the receiver."""
    if request.param == "packet":
        return ()
    request.getfixturevalue("xdp")
    return ("--xdp",)


@pytest.mark.root
def test_streams_over_the_wire_are_received_without_loss(veth, capture):
    figures = wire_figures("some", 4, 2.0, veth, capture)
    assert figures["processbus.some_frames_lost"] == 0
    by_xdp = figures["processbus.some_frames_received"] if capture else 0
    assert figures["processbus.some_frames_by_xdp"] == by_xdp
    assert figures["processbus.some_reports"] > 0


@pytest.mark.root
@pytest.mark.soak
@pytest.mark.parametrize(("name", "streams"), [("full", 170), ("hundred", 100), ("one", 1)])
def test_a_minute_of_streams_is_received_without_loss(
    veth, name, streams, capture, record_property
):
    """One minute each: 170 streams of 4,800 frames/s are a gigabit to the wire.

    `sent_share` below 1 says that the sender of this machine did not reach that rate.
    """
    name += "_xdp" if capture else ""
    figures = wire_figures(name, streams, 60.0, veth, capture)
    for key, value in figures.items():
        record_property(key.removeprefix("processbus."), round(value, 4))
    assert figures[f"processbus.{name}_frames_lost"] == 0
