"""What every rule gets: the file, its expanded IEDs, and a way to say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.errors import SclError
from agent.scl.expand import expand
from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import Limits
from agent.scl.live import IedModel, LogicalDevice, LogicalNode
from agent.scl.model import Scl
from agent.scl.model_ied import Ied, Service


class Context:
    """One check of one file; expansions are made once and shared by the rules."""

    def __init__(self, scl: Scl, limits: Limits) -> None:
        self.scl = scl
        self.limits = limits
        self.findings: list[SclFinding] = []
        self._models: dict[str, IedModel | None] = {}

    def model(self, ied: Ied) -> IedModel | None:
        """The expanded IED; None for an outline, a nameless IED, or one that met a limit."""
        if ied.name not in self._models:
            self._models[ied.name] = self._expand(ied)
        return self._models[ied.name]

    def models(self) -> Iterator[tuple[Ied, IedModel]]:
        """Every IED that was read in full, with its expansion."""
        for ied in self.scl.ieds:
            model = self.model(ied)
            if model is not None:
                yield ied, model

    def nodes(self) -> Iterator[tuple[Ied, LogicalDevice, LogicalNode]]:
        """Every logical node of every expanded IED."""
        for ied, model in self.models():
            for device in model.devices:
                for node in device.nodes:
                    yield ied, device, node

    def _expand(self, ied: Ied) -> IedModel | None:
        if not ied.complete or not ied.name:
            return None
        try:
            model = expand(self.scl, ied.name, limits=self.limits)
        except SclError as error:
            for finding in error.findings:
                self.error("model.too-large", ied.line, f"IED[{ied.name}]", finding.what)
            return None
        self.findings.extend(model.findings)
        return model

    def error(self, rule: str, line: int, path: str, what: str, hint: str = "") -> None:
        """Something that makes a part of the file unusable."""
        self._note(Severity.ERROR, rule, line, path, what, hint)

    def error_in_type(self, rule: str, line: int, path: str, what: str, hint: str) -> None:
        """An error found while types are expanded."""
        self.error(rule, line, path, what, hint)

    def warning(self, rule: str, line: int, path: str, what: str, hint: str = "") -> None:
        """Something that works here but breaks elsewhere or surprises."""
        self._note(Severity.WARNING, rule, line, path, what, hint)

    def namespace(self, rule: str, line: int, path: str, what: str, hint: str = "") -> None:
        """A deviation from the namespaces: an error in files of Edition 2.1, which they describe.

        Edition 2 files follow earlier releases, in which some members were optional.
        """
        note = self.error if self.scl.release >= "4" else self.warning
        note(rule, line, path, what, hint)

    def info(self, rule: str, line: int, path: str, what: str, hint: str = "") -> None:
        """Something worth knowing."""
        self._note(Severity.INFO, rule, line, path, what, hint)

    def _note(
        self, severity: Severity, rule: str, line: int, path: str, what: str, hint: str
    ) -> None:
        self.findings.append(SclFinding(severity, rule, self.scl.file, line, path, what, hint))


Rule = Callable[[Context], None]
"""A rule looks at the file and notes findings."""


def ln_path(ied: Ied, device: LogicalDevice, node: LogicalNode) -> str:
    """SCL path of a logical node."""
    return f"IED[{ied.name}]/LDevice[{device.inst}]/{node.name}"


def service(services: tuple[Service, ...], name: str) -> Service | None:
    """One claim of a Services element."""
    return next((claim for claim in services if claim.name == name), None)


def limit_of(claim: Service | None, attribute: str) -> int | None:
    """A numeric limit of a claim, None where nothing is claimed."""
    text = "" if claim is None else claim.attributes.get(attribute, "")
    return int(text) if text.isdecimal() else None
