"""Raw data to volts and amperes, with the quality of every sample."""

import numpy as np
import pytest

from agent.processbus.sv.channels import QUESTIONABLE, TEST, ChannelMap, default_channels


def data(values, quality=0):
    pairs = np.empty((*np.shape(values), 2), dtype=">u4")
    pairs[..., 0] = np.asarray(values).astype(np.int32).view(np.uint32)
    pairs[..., 1] = quality
    return pairs.reshape(len(values), -1).view(np.uint8)


def test_9_2le_scale_factors_and_order():
    channels = default_channels(64)
    values, marks = channels.values(data([[1000, 2000, 3000, 0, 100, 200, -300, 0]]))
    assert values[0] == pytest.approx([1.0, 2.0, -3.0, 1.0, 2.0, 3.0])
    assert marks.tolist() == [0]


@pytest.mark.parametrize(
    ("pairs", "with_current"), [(3, False), (4, False), (6, True), (8, True), (9, True)]
)
def test_usual_data_sets_are_known(pairs, with_current):
    channels = default_channels(8 * pairs)
    assert channels.with_current is with_current


@pytest.mark.parametrize("length", [0, 8, 60, 80, 65])
def test_other_data_sets_need_an_scl(length):
    assert default_channels(length) is None


@pytest.mark.parametrize(
    ("word", "missing", "mark"),
    [(0, False, 0), (1, True, 0), (2, True, 0), (3, False, QUESTIONABLE), (0x800, False, TEST)],
)
def test_quality_of_one_channel(word, missing, mark):
    quality = np.zeros((1, 8), dtype=int)
    quality[0, 5] = word
    values, marks = default_channels(64).values(data([[1] * 8], quality))
    assert np.isnan(values[0]).tolist() == [False, missing, False, False, False, False]
    assert marks.tolist() == [mark]


def test_quality_of_a_channel_that_is_not_used_does_not_matter():
    quality = np.zeros((1, 8), dtype=int)
    quality[0, 3] = 1
    values, marks = default_channels(64).values(data([[1] * 8], quality))
    assert np.isfinite(values).all()
    assert marks.tolist() == [0]


def test_offsets_that_are_no_multiple_of_four_and_floats():
    channels = ChannelMap(((1, -1), (5, -1), (9, -1)), (1.0, 1.0, 1.0), 13, floating=True)
    octets = b"\x01" + np.array([1.5, -2.5, 3.5], dtype=">f4").tobytes()
    values, _ = channels.values(np.frombuffer(octets, np.uint8).reshape(1, -1))
    assert values.tolist() == [[1.5, -2.5, 3.5]]
