"""`v2g-ctl` as a whole: every verb speaks JSON, and no default hides what stood before it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from agent.cli.ctl import build_parser
from agent.errors import AlarmCode


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for action in inner:
        for name, verb in action.choices.items():
            yield from leaves(verb, (*path, name))
    if not inner:
        yield path, parser


VERBS = dict(leaves(build_parser()))


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_json_output_and_a_text(path):
    parser = VERBS[path]
    assert "--json" in parser._option_string_actions
    assert parser.description
    assert all(action.help for action in parser._actions)


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_options_before_a_verb_are_kept(path):
    extra = ["one"] * sum(a.required for a in VERBS[path]._actions if not a.option_strings)
    arguments = build_parser().parse_args(["--json", "--socket", "/x", *path, *extra])
    assert arguments.json is True
    assert str(arguments.socket) == "/x"


@pytest.mark.parametrize("text", ["0x14", "14", "0X22"])
def test_alarm_codes_are_read_as_the_manual_writes_them(text):
    arguments = build_parser().parse_args(["acknowledge", text])
    assert arguments.code in (AlarmCode.FREQUENCY_OUT_OF_BOUNDS, AlarmCode.HANDSHAKE_TIMEOUT)


def test_an_unknown_alarm_code_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["acknowledge", "0x99"])
    assert "0x14" in capsys.readouterr().err
