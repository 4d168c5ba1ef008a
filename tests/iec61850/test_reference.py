"""ObjectReference (IEC 61850-7-2, 22.2): text both ways, the two notations agree."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.iec61850 import FC, ObjectReference

NAME = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12)
REFERENCE = st.builds(
    ObjectReference, NAME, NAME, st.lists(NAME, max_size=5).map(tuple), st.sampled_from(FC)
)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (
            "V2G1LD0/MMXU1.Hz.mag.f[MX]",
            ObjectReference("V2G1LD0", "MMXU1", ("Hz", "mag", "f"), FC.MX),
        ),
        (
            "V2G1LD0/MMXU1$MX$Hz$mag$f",
            ObjectReference("V2G1LD0", "MMXU1", ("Hz", "mag", "f"), FC.MX),
        ),
        ("LD/LLN0", ObjectReference("LD", "LLN0")),
        ("LD/LLN0$GO$gcb1", ObjectReference("LD", "LLN0", ("gcb1",), FC.GO)),
        (
            "LD/MHAI1.HA.phsAHar(3).cVal",
            ObjectReference("LD", "MHAI1", ("HA", "phsAHar(3)", "cVal")),
        ),
    ],
)
def test_a_reference_is_read_in_both_notations(text, reference):
    assert ObjectReference.parse(text) == reference


@given(REFERENCE)
def test_what_is_written_is_read_again(reference):
    assert ObjectReference.parse(str(reference)) == reference
    assert ObjectReference.parse(f"{reference.ld}/{reference.mms_item}") == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LD",
        "/LN",
        "LD/",
        "LD/LN.",
        "LD/LN..x",
        "LD/LN.x[XX]",
        "LD/LN$ZZ$x",
        "LD/LN$MX$",
        "a/b/c",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(DecodeError):
        ObjectReference.parse(text)


@given(st.text(max_size=40))
def test_no_text_does_more_than_refuse(text):
    try:
        ObjectReference.parse(text)
    except DecodeError:
        pass


def test_children_and_constraints():
    hz = ObjectReference("LD", "MMXU1", ("Hz",))
    assert str(hz.child("q").with_fc(FC.MX)) == "LD/MMXU1.Hz.q[MX]"
    assert hz.data_object == "Hz"
    assert hz.mms_item == "MMXU1$Hz"
