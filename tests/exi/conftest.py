"""Fixtures of the codec's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.exi import ExiCodec, Namespace
from tests.exi.samples import Generator, Vector, read_vectors, schema_folder


@pytest.fixture(scope="session")
def schemas() -> Path:
    folder = schema_folder()
    if folder is None:
        pytest.skip("the XSD files come with the iso15118 package, which is not installed")
    return folder


@pytest.fixture(scope="session")
def codec(schemas: Path) -> ExiCodec:
    return ExiCodec(schemas)


@pytest.fixture(scope="session")
def vectors() -> list[Vector]:
    return read_vectors()


@pytest.fixture(scope="session")
def generators(schemas: Path) -> list[Generator]:
    return [Generator(schemas, namespace) for namespace in Namespace]
