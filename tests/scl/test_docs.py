"""The page about SCL names every rule, and no rule that is gone."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULE = re.compile(
    r"((?:read|type|enum|instance|value|setting|dataset|control|report|sv|services|comm|extref|ns"
    r"|serve|schema|name|plant|model)\.[a-z0-9-]+)"
)


def test_the_page_lists_exactly_the_rules_of_the_code():
    sources = "".join(path.read_text() for path in (ROOT / "agent" / "scl").rglob("*.py"))
    in_code = set(re.findall(f'"{RULE.pattern}"', sources))
    in_page = set(re.findall(f"`{RULE.pattern}`", (ROOT / "docs" / "scl.md").read_text()))
    assert in_page == in_code
