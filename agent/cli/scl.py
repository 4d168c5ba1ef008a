"""`v2g-scl`: look into SCL files, check them, compare them, and export our own description.

Exit codes: 0 nothing wrong (or no difference), 1 errors found (or differences), 2 unreadable.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text

from agent.cli.arguments import run_command
from agent.cli.scl_export import add_export_arguments, export
from agent.errors import AgentError, SclError
from agent.scl import SclFinding, Severity, Subscription, Subscriptions, read_scl, subscriptions
from agent.scl.check import check
from agent.scl.differ import diff
from agent.scl.limits import Limits
from agent.scl.outline import outline
from agent.scl.schema import validate

EXIT_FOUND: Final = 1
EXIT_UNREADABLE: Final = 2
_STYLE: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` or of the process."""
    return run_command(_main) if argv is None else _main(argv)


def _main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except SclError as error:
        if getattr(arguments, "json", False):
            _print_json({"error": error.findings})
        else:
            print(error, file=sys.stderr)
        return EXIT_UNREADABLE
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="v2g-scl", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    checking = commands.add_parser("check", help="print every finding of every rule")
    checking.add_argument("file")
    checking.add_argument("--ied", help="only this IED, and whether the agent can serve it")
    checking.add_argument("--schema", metavar="DIR", help="also validate with DIR/SCL.xsd")
    checking.add_argument("--max-size", type=int, default=512, metavar="MB", help="refuse more")
    checking.set_defaults(run=_check)

    tree = commands.add_parser("tree", help="outline of a file, an IED or a logical device")
    tree.add_argument("file")
    tree.add_argument("--ied", help="down to data objects and control blocks")
    tree.add_argument("--ld", help="of that IED, down to attributes and values")
    tree.set_defaults(run=_tree)

    differing = commands.add_parser("diff", help="what changed from A to B")
    differing.add_argument("before", metavar="A")
    differing.add_argument("after", metavar="B")
    differing.set_defaults(run=_diff)

    subscribing = commands.add_parser("subscriptions", help="streams an IED subscribes to")
    subscribing.add_argument("file")
    subscribing.add_argument("--ied", required=True)
    subscribing.set_defaults(run=_subscriptions)

    for command in (checking, tree, differing, subscribing):
        command.add_argument("--json", action="store_true", help="for programs")

    exporting = commands.add_parser("export", help="write our own ICD or IID")
    add_export_arguments(exporting)
    exporting.set_defaults(run=export)
    return parser


def _print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())


def _check(arguments: argparse.Namespace) -> int:
    limits = Limits(max_bytes=arguments.max_size << 20)
    findings = list(check(read_scl(arguments.file, limits=limits), ied_name=arguments.ied))
    if arguments.schema:
        findings += validate(arguments.file, arguments.schema, limits)
    counts = Counter(finding.severity for finding in findings)
    if arguments.json:
        _print_json({"file": arguments.file, "findings": findings, "counts": counts})
    else:
        _print_findings(findings, counts)
    return EXIT_FOUND if counts[Severity.ERROR] else 0


def _print_findings(findings: Sequence[SclFinding], counts: Counter[Severity]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        hint = f" ({finding.hint})" if finding.hint else ""
        console.print(
            Text.assemble(
                f"{finding.where}: ",
                (f"{finding.severity}: ", _STYLE[finding.severity]),
                f"{finding.what}{hint} ",
                (f"[{finding.rule}]", "dim"),
            )
        )
    summary = (f"{counts[severity]} {severity}" for severity in Severity)
    console.print(Text(", ".join(summary), "bold"))


def _tree(arguments: argparse.Namespace) -> int:
    if arguments.ld and not arguments.ied:
        print("--ld needs --ied", file=sys.stderr)
        return EXIT_UNREADABLE
    wanted = None if arguments.ied is None else {arguments.ied}
    entry = outline(read_scl(arguments.file, ieds=wanted), arguments.ied, arguments.ld)
    if arguments.json:
        _print_json(entry)
    else:
        sys.stdout.writelines(f"{line}\n" for line in entry.lines())
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    changes = diff(read_scl(arguments.before), read_scl(arguments.after))
    if arguments.json:
        _print_json(changes)
    else:
        sys.stdout.writelines(f"{change}\n" for change in changes)
    return EXIT_FOUND if changes else 0


def _subscriptions(arguments: argparse.Namespace) -> int:
    found = subscriptions(read_scl(arguments.file, ieds={arguments.ied}), arguments.ied)
    if arguments.json:
        _print_json(_as_json(found))
    else:
        for subscription in found.streams:
            sys.stdout.writelines(f"{line}\n" for line in _stream_lines(subscription))
        if found.unbound:
            print(f"{len(found.unbound)} inputs are not bound")
        for finding in found.findings:
            print(finding)
    return EXIT_FOUND if found.findings else 0


def _as_json(found: Subscriptions) -> object:
    """The subscriptions with MAC addresses as people write them."""
    builtins = msgspec.to_builtins(found)
    for plain, subscription in zip(builtins["streams"], found.streams, strict=True):
        address = subscription.stream.address
        if address is not None:
            plain["stream"]["address"]["mac"] = address.mac.hex("-").upper()
    return builtins


def _stream_lines(subscription: Subscription) -> list[str]:
    stream = subscription.stream
    address = stream.address
    where = (
        "no address"
        if address is None
        else f"{address.mac.hex('-')} APPID {address.app_id:04X} "
        f"VLAN {address.vlan_id} priority {address.vlan_priority}"
    )
    lines = [
        f"{stream.kind} {stream.cb_reference} ({stream.id}) confRev {stream.conf_rev}, {where}",
        f"  data set {stream.data_set or '-'}, {stream.members} members",
    ]
    for binding, value in subscription.values():
        scale = "" if value.scale_factor is None else f" × {value.scale_factor:g}"
        target = binding.ext_ref.int_addr or str(binding.owner)
        lines.append(f"  {value.member:3} {value.reference} {value.b_type}{scale} → {target}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
