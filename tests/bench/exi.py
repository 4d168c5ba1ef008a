"""EXI codec: time of a message, and how much faster than the Java codec in the same run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from agent.exi import ExiCodec, Namespace
from tests.exi.oracle import JavaCodec, why_not
from tests.exi.samples import Vector, read_vectors, schema_folder

MESSAGES = (
    "DC_ChargeLoopReq",
    "DC_ChargeLoopRes",
    "AC_ChargeLoopReq",
    "AC_ChargeLoopRes",
    "ServiceDetailRes",
    "AuthorizationReq",
)
_JAVA_WARM_UP = 150


def run() -> dict[str, float]:
    """Measure the codec on charge loop messages, a service list and a certificate chain.

    `encode_us`, `decode_us`: median of JSON text → EXI and back, the interface of the Java codec.
    `speedup_min`, `speedup_median`: Java's median over ours, message by message, after the JVM
    has warmed up; only where a JRE exists. `compile_ms`, `cached_load_ms`: all seven schemas from
    XSD files, and from the disk cache.
    """
    folder = schema_folder()
    if folder is None:
        return {}
    codec = ExiCodec(folder)
    figures = _load_times(folder)
    samples = {vector.name: vector for vector in read_vectors() if not vector.is_fragment}
    chosen = [samples[name] for name in MESSAGES]
    ours = [_times(codec, vector) for vector in chosen]
    figures["exi.encode_us"] = statistics.median(times[0] for times in ours) * 1e6
    figures["exi.decode_us"] = statistics.median(times[1] for times in ours) * 1e6
    if not why_not():
        ratios = _ratios(chosen, ours)
        figures["exi.speedup_min"] = min(ratios)
        figures["exi.speedup_median"] = statistics.median(ratios)
    return figures


def _load_times(folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        ExiCodec(folder, Path(cache)).load()  # imports lxml and fills the cache
        compiled = _median(lambda: ExiCodec(folder).load(tuple(Namespace)), 5)
        cached = _median(lambda: ExiCodec(folder, Path(cache)).load(tuple(Namespace)), 5)
    return {"exi.compile_ms": compiled * 1e3, "exi.cached_load_ms": cached * 1e3}


def _times(codec: ExiCodec, vector: Vector) -> tuple[float, float]:
    text = orjson.dumps(vector.message)
    encode = _median(lambda: codec.encode(orjson.loads(text), vector.namespace), 1000)
    decode = _median(lambda: orjson.dumps(codec.decode(vector.data, vector.namespace)), 1000)
    return encode, decode


def _ratios(chosen: list[Vector], ours: list[tuple[float, float]]) -> list[float]:
    java = JavaCodec()
    ratios = []
    try:
        for vector, (encode, decode) in zip(chosen, ours, strict=True):
            text = orjson.dumps(vector.message).decode()

            def java_encode(text: str = text, namespace: str = vector.namespace) -> None:
                java.encode_text(text, namespace)

            def java_decode(data: bytes = vector.data, namespace: str = vector.namespace) -> None:
                java.decode_text(data, namespace)

            for _ in range(_JAVA_WARM_UP):
                java_encode()
                java_decode()
            ratios += [_median(java_encode, 100) / encode, _median(java_decode, 100) / decode]
    finally:
        java.close()
    return ratios


def _median(function: Callable[[], object], repetitions: int) -> float:
    taken = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
