"""`v2g-ctl firewall`: the packet filter that the configuration means."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from agent.cli.gateway import add_gateway_options
from agent.config import Settings, load_settings
from agent.errors import UnavailableError
from agent.firewall import (
    firewall_model,
    ied_goose_drop_in,
    iptables_ruleset,
    nft_ruleset,
    unit_drop_in,
    unit_networks,
    xdp_drop_in,
)

RULESET = Path("etc/v2g/v2g.nft")
UNITS = Path("etc/systemd/system")
DROP_IN = "50-v2g-peers.conf"
RIGHTS = {
    "v2g-ied.service.d/60-v2g-goose.conf": ied_goose_drop_in,
    "v2g-processbus.service.d/60-v2g-xdp.conf": xdp_drop_in,
}
"""What a unit may do only where a setting asks for it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "print or write the packet filter made from [firewall]"
    parser = subparsers.add_parser("firewall", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument(
        "--format",
        choices=("nft", "iptables", "ip6tables", "systemd"),
        default="nft",
        help="what to print; default nft",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write /{RULESET} and the units' address lists instead of printing",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--root", type=Path, default=Path("/"), help="write below this folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write; nothing is loaded into the kernel."""
    settings = load_settings(arguments.config)
    if arguments.write:
        written = [str(path) for path in write(settings, arguments.root)]
        if arguments.json:
            print(json.dumps({"written": written}))
            return 0
        print("\n".join(written))
        print("now: systemctl daemon-reload; nft -c -f /etc/v2g/v2g.nft;")
        print("     systemctl restart v2g-firewall v2g-gateway")
    elif arguments.json:
        text = render(settings, arguments.format)
        print(json.dumps({"format": arguments.format, "text": text}))
    else:
        print(render(settings, arguments.format), end="")
    return 0


def render(settings: Settings, form: str) -> str:
    """Return one form as text."""
    model = firewall_model(settings)
    match form:
        case "iptables":
            return iptables_ruleset(model, 4)
        case "ip6tables":
            return iptables_ruleset(model, 6)
        case "systemd":
            return "\n".join(
                f"# {unit}.d/{DROP_IN}\n{unit_drop_in(networks)}"
                for unit, networks in unit_networks(settings).items()
            )
    return nft_ruleset(model)


def write(settings: Settings, root: Path) -> list[Path]:
    """Write the ruleset and the drop-ins below a root; return what was written.

    Raises:
        UnavailableError: A file cannot be written.
    """
    texts = {root / RULESET: render(settings, "nft")}
    for unit, networks in unit_networks(settings).items():
        texts[root / UNITS / f"{unit}.d" / DROP_IN] = unit_drop_in(networks)
    for name, drop_in in RIGHTS.items():
        if text := drop_in(settings):
            texts[root / UNITS / name] = text
        else:
            (root / UNITS / name).unlink(missing_ok=True)
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UnavailableError(f"{path}: {error.strerror}") from error
    return list(texts)
