"""`v2g-ctl pki demo`: certificates for tests and demonstrations, never for a site."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its own verb to `v2g-ctl`."""
    text = "certificates of ISO 15118 for tests and demonstrations"
    parser = subparsers.add_parser("pki", help=text, description=text)
    verbs = parser.add_subparsers(dest="pki_verb", metavar="VERB", required=True)
    text = "write a complete demonstration PKI into a folder"
    demo = verbs.add_parser("demo", help=text, description=text)
    demo.add_argument("folder", type=Path, help="made where it is not there")
    demo.add_argument("--days", type=int, default=30, help="how long it is valid; default 30")
    demo.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the PKI; say which files."""
    from agent.vehicles.pki import make_demo_pki  # here: the other verbs need no cryptography

    written = [str(path) for path in make_demo_pki(arguments.folder, valid_days=arguments.days)]
    print(json.dumps({"written": written}) if arguments.json else "\n".join(written))
    return 0
