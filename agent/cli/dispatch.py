"""`v2g-client dispatch sign|send`: signed orders as a balancing authority makes them."""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from pathlib import Path
from typing import Any, Final

import httpx

from agent.cli.arguments import duration_s, power_w
from agent.errors import EX_UNAVAILABLE, ConfigurationError, Finding, UnavailableError
from agent.messages import SITE, RequestKind
from agent.utility.dispatch.http import MEDIA_TYPES, PATH
from agent.utility.dispatch.sign import load_private_key, sign
from agent.utility.dispatch.token import LEASE_MAX_S, Order

_REFUSED: Final = 1
_MARGIN_S: Final = 10.0


def add_parser(subparsers: Any) -> None:
    """Add `dispatch` to the parser of `v2g-client`."""
    parser = subparsers.add_parser("dispatch", help="signed orders", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    signer = actions.add_parser("sign", help="print a token")
    _add_order(signer, required=True)
    signer.set_defaults(run=_sign)
    sender = actions.add_parser("send", help="send a token to a gateway")
    sender.add_argument("url", metavar="URL", help="of the gateway: https://gateway.example:8443")
    sender.add_argument("--token", type=Path, help="file with a token; else one is signed")
    sender.add_argument("--wait", type=duration_s, default=0.0, help="for the end of the orders")
    sender.add_argument("--ca", type=Path, help="PEM of the authorities to trust")
    sender.add_argument("--certificate", type=Path, help="PEM of this client")
    sender.add_argument("--private-key", type=Path)
    _add_order(sender, required=False)
    sender.set_defaults(run=_send)


def _add_order(parser: argparse.ArgumentParser, *, required: bool) -> None:
    group = parser.add_argument_group("the order")
    group.add_argument(
        "--key", type=Path, required=required, help="PEM of the signer: P-256 or Ed25519"
    )
    group.add_argument("--issuer", required=required, help="dispatch.issuer of the gateway")
    group.add_argument("--audience", required=required, help="name of the gateway")
    kinds = [str(kind) for kind in RequestKind]
    group.add_argument("--kind", choices=kinds, default=str(RequestKind.WATT_SETPOINT))
    group.add_argument("--power", type=power_w, help="as in 5kW; positive exports")
    group.add_argument("--value", type=float, help="of a var-setpoint or a setting")
    group.add_argument("--target", default=SITE, help="site (default) or an EVSE")
    group.add_argument("--setting", default="", help="of a setting, mode or withdraw")
    group.add_argument("--lease", type=duration_s, default=60.0, help="default 60s")
    group.add_argument(
        "--lifetime", type=duration_s, default=30.0, help="of the token; default 30s"
    )
    group.add_argument("--counter", type=int, help="default: microseconds since 1970")
    group.add_argument("--test", action="store_true", help="checked, not carried out")


def _token(arguments: argparse.Namespace) -> str:
    named = {name: getattr(arguments, name) for name in ("key", "issuer", "audience")}
    missing = [f"--{name}" for name, value in named.items() if value is None]
    if missing:
        raise ConfigurationError((Finding("v2g-client dispatch", f"needs {', '.join(missing)}"),))
    if not 0.0 < arguments.lease <= LEASE_MAX_S:
        raise ConfigurationError((Finding("--lease", f"must be at most {LEASE_MAX_S:g} s"),))
    value = arguments.power if arguments.power is not None else arguments.value
    order = Order(
        RequestKind(arguments.kind),
        arguments.lease,
        value or 0.0,
        arguments.target,
        arguments.setting,
        arguments.test,
    )
    return sign(
        load_private_key(arguments.key),
        [order],
        issuer=arguments.issuer,
        audience=arguments.audience,
        counter=arguments.counter,
        lifetime_s=arguments.lifetime,
    )


def _sign(arguments: argparse.Namespace) -> int:
    print(_token(arguments))
    return 0


def _send(arguments: argparse.Namespace) -> int:
    token = _read(arguments.token) if arguments.token else _token(arguments)
    headers = {"content-type": MEDIA_TYPES[0]}
    if arguments.wait:
        headers["prefer"] = f"wait={round(arguments.wait)}"
    url = arguments.url.rstrip("/") + PATH
    try:
        answer = httpx.post(
            url,
            content=token,
            headers=headers,
            verify=_trust(arguments),
            timeout=arguments.wait + _MARGIN_S,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{url}: {error}") from error
    try:
        told = answer.json()
    except ValueError:
        print(f"{url}: {answer.status_code} {answer.reason_phrase}", file=sys.stderr)
        return EX_UNAVAILABLE
    print(json.dumps(told, indent=2))
    return 0 if answer.status_code == 200 and told.get("ok") else _REFUSED


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(f"{path}", f"cannot be read: {error}"),)) from error


def _trust(arguments: argparse.Namespace) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=arguments.ca)
        if arguments.certificate:
            context.load_cert_chain(arguments.certificate, arguments.private_key)
    except (OSError, ssl.SSLError) as error:
        where = "--ca, --certificate, --private-key"
        raise ConfigurationError((Finding(where, f"cannot be used: {error}"),)) from error
    return context
