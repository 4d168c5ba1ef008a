"""`v2g-study`: what a fleet does for the stability of a grid."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.cli.arguments import run_command
from agent.errors import ConfigurationError, Finding

EXIT_CHANGED = 1


def main() -> int:
    """Run the command."""
    return run_command(run)


def run(argv: Sequence[str]) -> int:
    """Do what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="v2g-study", description="What a fleet does for the stability of a grid."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _run_parser(verbs)
    _event_parser(verbs)
    _compare_parser(verbs)
    _verify_parser(verbs)
    _list_parser(verbs)
    arguments = parser.parse_args(argv)
    code: int = arguments.do(arguments)
    return code


def _run_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "simulate a study file; a run that was stopped goes on where it was"
    parser = verbs.add_parser("run", help=text, description=text)
    parser.add_argument("study", type=Path, metavar="STUDY.toml", help="or the name of an example")
    _output(parser)
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="scheduler of a Dask cluster")
    parser.set_defaults(do=_do_run)


def _event_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "score a recorded event: COMTRADE, Parquet or CSV"
    parser = verbs.add_parser("event", help=text, description=text)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--evses", type=Path, metavar="FILE", help="table of the single EVSEs")
    parser.add_argument("--preset", default="", help="the service, as in agent.toml")
    parser.add_argument(
        "--nominal", type=float, choices=(50.0, 60.0), help="Hz; else from the file"
    )
    parser.add_argument("--contract", type=float, metavar="W", help="power at full activation, W")
    _output(parser)
    parser.set_defaults(do=_do_event)


def _compare_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "lay two folders of results side by side"
    parser = verbs.add_parser("compare", help=text, description=text)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="write a report too")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(do=_do_compare)


def _verify_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "check a folder of results against its manifest and signature; exit 1 if changed"
    parser = verbs.add_parser("verify", help=text, description=text)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--public-key", type=Path, metavar="PEM", help="Ed25519 public key")
    parser.set_defaults(do=_do_verify)


def _list_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "show systems, services and example studies"
    parser = verbs.add_parser("list", help=text, description=text)
    parser.set_defaults(do=_do_list)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: the file's name")
    parser.add_argument("--key", type=Path, metavar="PEM", help="Ed25519 key that signs the result")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _do_run(arguments: argparse.Namespace) -> int:
    from agent.study.run import outcome_of, summary, write_outcome
    from agent.study.spec import load_study

    path = _example(arguments.study)
    study = load_study(path)
    folder = _folder(arguments.out, path.stem)
    with _progress() as progress:
        tasks: dict[str, int] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done)  # type: ignore[arg-type]

        outcome = outcome_of(study, folder, arguments.dask, advance)
    write_outcome(outcome, folder, path, arguments.key)
    _tell(summary(outcome), folder, arguments.json)
    return 0


def _do_event(arguments: argparse.Namespace) -> int:
    from agent.study.event import score_event

    folder = _folder(arguments.out, f"{arguments.file.stem}-scores")
    figures = score_event(
        arguments.file,
        folder,
        evses=arguments.evses,
        preset=arguments.preset,
        nominal_hz=arguments.nominal,
        contract_w=arguments.contract,
        key=arguments.key,
    )
    _tell(figures, folder, arguments.json)
    return 0


def _do_compare(arguments: argparse.Namespace) -> int:
    from agent.study.compare import compare, write_comparison

    rows = compare(arguments.a, arguments.b)
    if arguments.out is not None:
        write_comparison(arguments.out, arguments.a, arguments.b, rows)
    if arguments.json:
        print(json.dumps({name: {"a": a, "b": b} for name, a, b in rows}))
        return 0
    table = Table("figure", "A", "B", "B - A")
    for name, a, b in rows:
        change = "" if a is None or b is None else f"{b - a:+.5g}"
        table.add_row(name, _text(a), _text(b), change)
    Console().print(table)
    return 0


def _do_verify(arguments: argparse.Namespace) -> int:
    from agent.study.manifest import check_manifest, read_manifest

    wrong = check_manifest(arguments.folder, arguments.public_key)
    for line in wrong:
        print(f"CHANGED: {line}")
    signed_by = read_manifest(arguments.folder).get("signed_by") or "nobody"
    checked = "signature checked" if arguments.public_key else "signature not checked"
    verdict = "NOT intact" if wrong else "intact"
    print(f"{arguments.folder}: {verdict}, signed by {signed_by}, {checked}")
    return EXIT_CHANGED if wrong else 0


def _do_list(_arguments: argparse.Namespace) -> int:
    from agent.control.presets import presets
    from agent.study.systems import systems

    console = Console()
    grid = Table("system", "what", "H, s", "verified")
    for name, system in systems().items():
        grid.add_row(name, system.title, f"{system.inertia_s:g}", system.verified)
    services = Table("preset", "service", "Hz", "verified")
    for name, preset in presets().items():
        services.add_row(name, preset.title, f"{preset.nominal_hz:g}", preset.verified)
    console.print(grid, services)
    console.print("examples: " + ", ".join(sorted(_examples())))
    return 0


def _examples() -> dict[str, Path]:
    folder = Path(str(resources.files("agent.study").joinpath("data", "examples")))
    return {path.stem: path for path in folder.glob("*.toml")}


def _example(path: Path) -> Path:
    """Return the file, or the shipped example of that name."""
    return path if path.exists() else _examples().get(path.name, path)


def _folder(wanted: Path | None, name: str) -> Path:
    folder = wanted or Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = Finding(str(folder), f"cannot be written: {error.strerror}", "name another: --out")
        raise ConfigurationError((found,)) from error
    return folder


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _tell(figures: dict[str, float | None], folder: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures | {"folder": str(folder)}))
        return
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, _text(value))
    console = Console()
    console.print(table)
    console.print(f"report: {folder / 'report.html'}")


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main())
