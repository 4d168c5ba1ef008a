"""The page's own files and the plotting library, from this machine, compressed once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).resolve().parent.parent / "static"
PLOTLY: Final = "plotly.js"
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    kind: str
    tag: str
    plain: bytes
    packed: bytes


class Assets:
    """Reads each file once; only names that stand in the folder are served."""

    def __init__(self) -> None:
        names = {path.name: path for path in FOLDER.iterdir() if path.suffix in _KINDS}
        self._paths = names | {PLOTLY: plotly_path()}
        self._ready: dict[str, Asset] = {}
        self._reading = asyncio.Lock()

    async def page(self, request: Request) -> Response:
        """`GET /`."""
        return _answer(await self._get("index.html"), request)

    async def file(self, request: Request) -> Response:
        """`GET /static/NAME`."""
        return _answer(await self._get(request.path_params["name"]), request)

    async def _get(self, name: str) -> Asset:
        if name not in self._paths:
            raise HTTPException(404)
        async with self._reading:
            if name not in self._ready:
                self._ready[name] = await asyncio.to_thread(_read, self._paths[name])
        return self._ready[name]


def plotly_path() -> Path:
    """Return plotly.js as the Python package brings it; the package itself is not imported."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        return FOLDER / PLOTLY
    return Path(found.origin).parent / "package_data" / "plotly.min.js"


def _read(path: Path) -> Asset:
    try:
        plain = path.read_bytes()
    except OSError as error:
        raise HTTPException(404) from error
    kind = _KINDS[path.suffix]
    tag = f'"{hashlib.sha256(plain).hexdigest()[:20]}"'
    return Asset(kind, tag, plain, gzip.compress(plain, _COMPRESSION))


def _answer(asset: Asset, request: Request) -> Response:
    headers = {"Cache-Control": "no-cache", "ETag": asset.tag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    body = asset.plain
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = asset.packed
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=asset.kind, headers=headers)
