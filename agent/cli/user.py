"""`v2g-ctl user`: who may log in to the local page."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path

from agent.cli.gateway import add_gateway_options
from agent.config import load_settings
from agent.errors import EX_UNAVAILABLE, EX_USAGE

ROLES = ("viewer", "operator")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "add a user of the local page, or change the password"
    parser = subparsers.add_parser("user", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("name", help="that the user logs in with")
    parser.add_argument("--role", choices=ROLES, default=ROLES[0], help=f"default {ROLES[0]}")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--file", type=Path, help="password file; default: hmi.users")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the password (or read a line of standard input) and write the file."""
    from agent.hmi.page.passwords import UserRole, new_line, write_user

    path = arguments.file or load_settings(arguments.config).hmi.users
    if path is None:
        print("hmi.users is not set; name the file with --file", file=sys.stderr)
        return EX_USAGE
    try:
        line = new_line(arguments.name, UserRole(arguments.role), _password(arguments.name))
        write_user(path, line)
    except ValueError as error:
        print(error, file=sys.stderr)
        return EX_USAGE
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return EX_UNAVAILABLE
    if arguments.json:
        told = {"file": str(path), "user": arguments.name, "role": arguments.role}
        print(json.dumps(told))
    else:
        print(f"{path}: {arguments.name} is {arguments.role}")
    return 0


def _password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"password of {name}: ")
    if first != getpass.getpass("again: "):
        raise ValueError("the two differ")
    return first
