"""Which model and which mapping the IED serves, checked before anything starts."""

from __future__ import annotations

from agent.config import Settings
from agent.errors import ConfigurationError, Finding
from agent.mapping import BoundModel, bind, default_folder, load_mapping
from agent.scl import expand, read_scl
from agent.scl.live import IedModel

MAPPING_FILE = "ied/gateway.toml"


def load_model(settings: Settings) -> IedModel:
    """Read the SCL file and expand our IED.

    Raises:
        ConfigurationError: The file cannot be read, or has no such IED or access point.
    """
    scl = read_scl(settings.scl.file, ieds=(settings.scl.ied,))
    model = expand(scl, settings.scl.ied, settings.scl.access_point or None)
    if not model.devices:
        what = f"IED {settings.scl.ied!r} has no server with logical devices"
        raise ConfigurationError((Finding(str(settings.scl.file), what),))
    return model


def bind_model(settings: Settings, model: IedModel) -> BoundModel:
    """Read the mapping and bind it to the model.

    Raises:
        ConfigurationError: With everything that is wrong in the mapping, or does not fit the SCL.
    """
    folder = settings.gateway.mappings or default_folder()
    bound, findings = bind(load_mapping(folder / MAPPING_FILE), model)
    if findings:
        raise ConfigurationError(tuple(findings))
    return bound
