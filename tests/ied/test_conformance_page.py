"""`docs/conformance.md` is what the last `make conformance` wrote, for the cases that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.ied.conformance.conftest import CLIENTS, ENGINES

CASES = Path(__file__).parent / "conformance"
PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
AGAIN = "run `make conformance`"


def cases() -> list[tuple[str, str]]:
    """Name and first line of every case, in the order of the run."""
    found: list[tuple[str, str]] = []
    for path in sorted(CASES.glob("test_*.py")):
        for item in ast.parse(path.read_text()).body:
            if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
                title = (ast.get_docstring(item) or "").splitlines()[0]
                found.append((item.name.removeprefix("test_"), title))
    return found


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_every_case_and_no_other() -> None:
    assert [(row[0], row[1]) for row in rows()[2:]] == cases(), AGAIN


def test_the_page_has_a_column_for_each_engine_and_client() -> None:
    wanted = [f"{engine} / {client}" for engine in ENGINES for client in CLIENTS]
    assert rows()[0][2:] == wanted, AGAIN


def test_no_case_of_the_page_failed_and_its_sums_are_right() -> None:
    words = [word for row in rows()[2:] for word in row[2:]]
    assert set(words) <= {"pass", "n/a", "client"}, AGAIN
    numbers = re.search(r"^(\d+) of (\d+) passed, (\d+) not claimed, (\d+)", PAGE.read_text(), re.M)
    assert numbers is not None, AGAIN
    counted = [words.count("pass"), len(words), words.count("n/a"), words.count("client")]
    assert [int(text) for text in numbers.groups()] == counted, AGAIN


def test_every_case_passes_with_one_client_at_least_on_each_engine_that_claims_it() -> None:
    for name, _, *results in rows()[2:]:
        for place, engine in enumerate(ENGINES):
            mine = results[2 * place : 2 * place + 2]
            assert "pass" in mine or mine == ["n/a", "n/a"], f"{name} on {engine}"
