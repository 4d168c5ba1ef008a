"""Settings → what the control needs of them."""

from __future__ import annotations

import dataclasses

from msgspec.structs import asdict

from agent.config import Settings
from agent.control import Parameters, parameters_from
from agent.errors import ConfigurationError, Finding


def control_parameters(settings: Settings) -> Parameters:
    """Return what the control needs of the settings.

    Raises:
        ConfigurationError: An unknown preset, or values that the preset does not allow.
    """
    sections = (settings.grid, settings.control)
    values = {name: value for part in sections for name, value in asdict(part).items()}
    profile = dataclasses.asdict(settings.power)
    try:
        return parameters_from(**values, **profile, name=settings.gateway.name)
    except ConfigurationError as error:
        where = f"{settings.path}: control"
        raise ConfigurationError(
            tuple(Finding(where, finding.what, finding.hint) for finding in error.findings)
        ) from error
