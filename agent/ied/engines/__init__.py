"""The engines that speak MMS: one port (`agent.ied.port`), two implementations."""

from __future__ import annotations

from agent.errors import ConfigurationError, Finding
from agent.ied.engines.capability import unserved
from agent.ied.port import Engine, EngineOptions
from agent.scl.live import IedModel


def create(name: str, model: IedModel, options: EngineOptions) -> Engine:
    """The engine that the configuration names, with the model loaded.

    Raises:
        ConfigurationError: The engine is not installed, or lacks what the model needs.
    """
    findings = unserved(model)
    if findings:
        raise ConfigurationError(tuple(findings))
    # Only the chosen engine is loaded: libiec61850 is GPL-3.0 and an optional extra.
    if name == "open61850":
        from agent.ied.engines.open61850 import Open61850Engine

        return Open61850Engine(model, options)
    if name == "libiec61850":
        from agent.ied.engines.libiec61850 import Libiec61850Engine

        return Libiec61850Engine(model, options)
    what = f"there is no engine {name!r}"
    raise ConfigurationError((Finding("ied.engine", what, "open61850 or libiec61850"),))
