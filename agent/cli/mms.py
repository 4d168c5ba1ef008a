"""`v2g-client mms HOST …`: read, browse, subscribe to and operate any IEC 61850 server."""

from __future__ import annotations

import argparse
import json
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from open61850.data import BoolData, UIntData
from open61850.mms import (
    OBJECT_CLASS_DOMAIN,
    OBJECT_CLASS_NAMED_VARIABLE,
    OBJECT_CLASS_NAMED_VARIABLE_LIST,
    ControlError,
    DataAccessError,
    MmsClient,
    MmsError,
    ObjectName,
    Origin,
    operate,
    read_sgcb,
    select_active_sg,
)
from open61850.mms.control import ADD_CAUSES, control_object_name
from open61850.mms.reference import to_object_name
from open61850.mms.report import decode_report, is_report

from agent.cli.mms_values import lines, parse, plain
from agent.errors import EX_UNAVAILABLE, ConfigurationError, Finding
from agent.ied.mms_client import client_context, connect

_REFUSED: Final = 1


def add_parser(subparsers: Any) -> None:
    """Add `mms` to the parser of `v2g-client`."""
    parser = subparsers.add_parser("mms", help="talk to an IEC 61850 server", description=__doc__)
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("--port", type=int, help="default 102, with TLS 3782")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true", help="one JSON value a line on stdout")
    parser.add_argument("--ca", type=Path, help="PEM of the authorities to trust: turns TLS on")
    parser.add_argument("--certificate", type=Path, help="PEM of this client")
    parser.add_argument("--private-key", type=Path)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    browse = actions.add_parser("browse", help="list devices, nodes, objects and data sets")
    browse.add_argument("prefix", nargs="?", default="", metavar="LD[/LN[.DO]]")
    read = actions.add_parser("read", help="read values: LD/LN.DO.DA[FC] or LD/LN$FC$DO$DA")
    read.add_argument("references", nargs="+", metavar="REFERENCE")
    write = actions.add_parser("write", help="write one value")
    write.add_argument("reference", metavar="REFERENCE")
    write.add_argument("value")
    report = actions.add_parser("report", help="enable a report control block and print reports")
    report.add_argument("block", metavar="LD/LN$BR$NAME")
    report.add_argument("--for", dest="seconds", type=float, default=10.0, metavar="SECONDS")
    report.add_argument("--integrity", type=int, metavar="MS", help="set IntgPd")
    order = actions.add_parser("operate", help="operate a controllable object")
    order.add_argument("object", metavar="LD/LN.DO")
    order.add_argument("value")
    order.add_argument("--origin", default="v2g-client", help="orIdent")
    order.add_argument("--category", type=int, default=2, help="orCat, default station-control")
    order.add_argument("--test", action="store_true", help="set the Test flag")
    order.add_argument("--wait", type=float, default=60.0, help="for the CommandTermination")
    groups = actions.add_parser("groups", help="show or select setting groups")
    groups.add_argument("device", metavar="LD")
    groups.add_argument("--activate", type=int, metavar="GROUP")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks; 0 done, 1 refused by the server, 69 no connection."""
    actions: dict[str, Callable[[MmsClient, argparse.Namespace], int]] = {
        "browse": _browse,
        "read": _read,
        "write": _write,
        "report": _report,
        "operate": _operate,
        "groups": _groups,
    }
    _check_names(args)
    try:
        with _connect(args) as client:
            return actions[args.action](client, args)
    except BrokenPipeError:
        raise  # `| head`, not the network
    except (DataAccessError, ControlError) as error:
        _refused(args, error)
        return _REFUSED
    except (MmsError, OSError) as error:
        print(f"{args.host}: {error}", file=sys.stderr)
        return EX_UNAVAILABLE


def _check_names(args: argparse.Namespace) -> None:
    """Refuse references that cannot be meant before anything is connected.

    Raises:
        ConfigurationError: Every one of them.
    """
    names = (
        *getattr(args, "references", ()),
        *(getattr(args, kind) for kind in ("reference", "block") if hasattr(args, kind)),
    )
    findings = [finding for name in names if (finding := _name_finding(name, to_object_name))]
    if hasattr(args, "object"):
        finding = _name_finding(args.object, control_object_name)
        findings += [finding] if finding else []
    if findings:
        raise ConfigurationError(tuple(findings))


def _name_finding(name: str, read: Callable[[str], object]) -> Finding | None:
    try:
        read(name)
    except (ValueError, MmsError) as error:
        return Finding(name, str(error), "write LD/LN.DO.DA[FC] or LD/LN$FC$DO$DA")
    return None


def _connect(args: argparse.Namespace) -> MmsClient:
    tls = None
    if args.ca is not None:
        tls = client_context(args.ca, args.certificate, args.private_key)
    return connect(args.host, args.port or 0, args.timeout, tls)


def _show(args: argparse.Namespace, name: str, value: Any) -> None:
    if args.json:
        print(json.dumps({"name": name, "value": value}), flush=True)
    else:
        print("\n".join(lines(name, value)), flush=True)


def _refused(args: argparse.Namespace, error: MmsError) -> None:
    reason: dict[str, Any] = {"error": str(error)}
    last = getattr(error, "last_appl_error", None)
    if last is not None:
        reason |= {"add_cause": last.add_cause, "cause": ADD_CAUSES.get(last.add_cause, "?")}
    if args.json:
        print(json.dumps(reason), flush=True)
    else:
        print(f"refused: {error}", file=sys.stderr)


def _browse(client: MmsClient, args: argparse.Namespace) -> int:
    """Names below a prefix, with data sets; without one, every device and node."""
    domain, _, rest = args.prefix.partition("/")
    for device in sorted(client.get_name_list(OBJECT_CLASS_DOMAIN)):
        if domain and device != domain:
            continue
        variables = client.get_name_list(OBJECT_CLASS_NAMED_VARIABLE, device)
        wanted = tuple(rest.replace(".", "$").split("$")) if rest else ()
        shown = sorted({_label(name, wanted) for name in variables} - {""})
        sets = client.get_name_list(OBJECT_CLASS_NAMED_VARIABLE_LIST, device)
        _show(args, device, shown)
        if sets and not rest:
            members = {
                name.replace("$", "."): [
                    str(member) for member in client.get_data_set_members(ObjectName(name, device))
                ]
                for name in sorted(sets)
            }
            _show(args, f"{device} data sets", members)
    return 0


def _label(name: str, wanted: tuple[str, ...]) -> str:
    """What a listing shows of an MMS name: nodes, or the references below a prefix."""
    parts = name.split("$")
    if not wanted:
        return parts[0] if len(parts) == 1 else ""
    if len(parts) < 3 or parts[0] != wanted[0] or tuple(parts[2 : 1 + len(wanted)]) != wanted[1:]:
        return ""
    return f"{'.'.join([parts[0], *parts[2:]])}[{parts[1]}]"


def _read(client: MmsClient, args: argparse.Namespace) -> int:
    results = client.read_many(args.references)
    for reference, result in zip(args.references, results, strict=True):
        failed = isinstance(result, DataAccessError)
        kind = None if failed else client.get_type(reference)
        _show(args, reference, plain(result, kind))
    return _REFUSED if any(isinstance(result, DataAccessError) for result in results) else 0


def _write(client: MmsClient, args: argparse.Namespace) -> int:
    name = to_object_name(args.reference)
    client.write(name, parse(args.value, client.get_type(name), args.reference))
    _show(args, args.reference, plain(client.read(name), client.get_type(name)))
    return 0


def _report(client: MmsClient, args: argparse.Namespace) -> int:
    block = to_object_name(args.block)

    def attribute(name: str) -> ObjectName:
        return ObjectName(f"{block.item}${name}", block.domain)

    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.add_report_listener(arrived.put)
    if args.integrity is not None:
        client.write(attribute("IntgPd"), UIntData(args.integrity))
    data_set = str(plain(client.read(attribute("DatSet"))))
    members = [str(member) for member in client.get_data_set_members(data_set)]
    types = [client.get_type(member) for member in members]
    client.write(attribute("RptEna"), BoolData(True))
    client.write(attribute("GI"), BoolData(True))
    end_s = time.monotonic() + args.seconds
    try:
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                message = arrived.get(timeout=left_s)
            except queue.Empty:
                break
            if is_report(message):
                _show_report(args, decode_report(message), members, types)
    finally:
        client.write(attribute("RptEna"), BoolData(False))
    return 0


def _show_report(
    args: argparse.Namespace, report: Any, members: list[str], types: list[Any]
) -> None:
    values = {
        members[entry.index]: plain(entry.value, types[entry.index]) for entry in report.entries
    }
    head: dict[str, Any] = {"rptID": report.rpt_id, "sqNum": report.seq_num}
    if report.time_of_entry is not None:
        head["timeOfEntry"] = report.time_of_entry.isoformat()
    if report.entry_id is not None:
        head["entryID"] = report.entry_id.hex()
    _show(args, "report", {**head, "values": values})


def _operate(client: MmsClient, args: argparse.Namespace) -> int:
    target = control_object_name(args.object)
    kind = client.get_type(ObjectName(f"{target.item}$Oper$ctlVal", target.domain))
    result = operate(
        client,
        target,
        parse(args.value, kind, args.object),
        origin=Origin(args.category, args.origin.encode()[:64]),
        test=args.test,
        termination_timeout=args.wait,
    )
    _show(args, args.object, str(result))
    return 0


def _groups(client: MmsClient, args: argparse.Namespace) -> int:
    if args.activate is not None:
        select_active_sg(client, args.device, args.activate)
    status = read_sgcb(client, args.device)
    changed = status.l_act_tm.isoformat() if status.l_act_tm is not None else None
    _show(
        args,
        f"{args.device} setting groups",
        {"number": status.num_of_sg, "active": status.act_sg, "changed": changed},
    )
    return 0
