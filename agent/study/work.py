"""Cases in parts: computed on all cores or a Dask cluster, saved when done, never done twice."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.errors import UnavailableError
from agent.study.answers import Answers
from agent.study.cases import Case
from agent.study.results import solve
from agent.study.spec import Study

Done = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Part:
    """Cases that are computed together.

    Attributes:
        name: Its file's. `cases`: in the order of their answers.
    """

    name: str
    cases: tuple[Case, ...]


def parts_of(kind: str, cases: Sequence[Case], chunk: int) -> list[Part]:
    """Return cases in parts of at most `chunk`; names sort in the order of the cases."""
    return [
        Part(f"{kind}-{start:08d}", tuple(cases[start : start + chunk]))
        for start in range(0, len(cases), chunk)
    ]


def compute(
    study: Study, parts: Sequence[Part], folder: Path, dask: str = "", done: Done = lambda _: None
) -> Answers:
    """Return the answers of all parts in order; parts found in `folder` are taken from there.

    A part's file is complete or absent, so a run that was killed goes on where it was.

    Raises:
        UnavailableError: The Dask scheduler does not answer, or `distributed` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for part in parts:
        if (folder / f"{part.name}.npz").exists():
            done(len(part.cases))
        else:
            missing.append(part)
    if len(missing) == 1 and not dask:
        _save(folder, missing[0], solve(study, missing[0].cases))
        done(len(missing[0].cases))
    elif missing:
        with _executor(dask, len(missing)) as (submit, completed):
            futures = {submit(solve, study, part.cases): part for part in missing}
            for future in completed(futures):
                part = futures[future]
                _save(folder, part, future.result())
                done(len(part.cases))
    tables = [_load(folder, part) for part in parts]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


@contextmanager
def _executor(dask: str, work: int) -> Iterator[tuple[Callable[..., Any], Callable[..., Any]]]:
    """Give `submit` and `as_completed` of this machine's cores, or of a Dask cluster."""
    if dask:
        try:
            import distributed
        except ImportError as error:
            raise UnavailableError(
                "--dask needs the package distributed (v2g-agent[dask])"
            ) from error
        try:
            client = _client(distributed, dask)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"no Dask scheduler answers at {dask}: {error}") from error
        with client:
            yield client.submit, partial(distributed.as_completed, loop=client.loop)
        return
    context = multiprocessing.get_context("forkserver")
    workers = min(os.cpu_count() or 1, work)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield _submit(pool), as_completed


def _client(distributed: Any, address: str) -> Any:
    return distributed.Client(address, timeout="10s", set_as_default=False)


def _submit(pool: Executor) -> Callable[..., Future[Answers]]:
    return pool.submit


def _save(folder: Path, part: Part, answers: Answers) -> None:
    path = folder / f"{part.name}.npz"
    temporary = path.with_name(f".{part.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, **answers)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _load(folder: Path, part: Part) -> Answers:
    with np.load(folder / f"{part.name}.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
