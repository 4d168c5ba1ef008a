"""PICS and MICS say what the ICD says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.scl import read_scl

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def statements():
    sys.path.insert(0, str(REPOSITORY / "packaging"))
    try:
        import statements as module
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.parametrize("name", ["pics", "mics"])
def test_the_pages_are_those_of_the_shipped_icd(statements, name):
    page = REPOSITORY / "docs" / f"{name}.md"
    made = getattr(statements, name)(read_scl(statements.ICD))
    assert page.read_text() == made, "python packaging/statements.py docs"


def test_a_service_that_the_icd_does_not_claim_is_a_no(statements):
    page = (REPOSITORY / "docs" / "pics.md").read_text()
    rows = {
        line.split("|")[1].strip(): line.split("|")[3].strip()
        for line in page.splitlines()
        if line.startswith("| ")
    }
    assert (rows["B11"], rows["B41"], rows["M7"], rows["M5"]) == ("yes", "no", "yes", "no")
