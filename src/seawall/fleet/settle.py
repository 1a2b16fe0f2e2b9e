"""Settings as the real systems settle them: what they correct by themselves, with what they would say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seawall.fleet.kubernetes import Deployment
from seawall.fleet.model import ApachePrefork, FleetFile, Service
from seawall.fleet.yamlfile import Place, Steps


@dataclass(frozen=True, slots=True)
class Warning:
    """Something that the real systems accept but that the user will not have meant, and where it stands."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"

    @property
    def anywhere(self) -> str:
        """The warning with the file's bare name: the same wherever the fleet lies, as a record must be."""
        return f"{PurePath(self.file).name}:{self.line}: {self.text}"


def warning(place: Place, path: Steps, text: str) -> Warning:
    """A warning about the value at `path` below `place`."""
    where = place.find(path)
    return Warning(where.file, where.line, text)


def settle(file: FleetFile, place: Place, deployment: Deployment) -> tuple[FleetFile, tuple[Warning, ...]]:
    """The file with the server's and the kernel's settings in force, and a warning for each change."""
    server, of_server = _settle_server(file.service, place)
    kernel, of_kernel = _settle_kernel(file.service, place, deployment)
    if not server and not kernel:
        return file, (*of_server, *of_kernel)
    parts = {"server": file.service.server, "kernel": file.service.kernel}
    changes = {"server": server, "kernel": kernel}
    update = {name: part.model_copy(update=changes[name]) for name, part in parts.items()}
    service = file.service.model_copy(update=update)
    return file.model_copy(update={"service": service}), (*of_server, *of_kernel)


def _settle_kernel(
    service: Service, place: Place, deployment: Deployment
) -> tuple[dict[str, Any], list[Warning]]:
    """Sysctls of the pod's securityContext count: they are set in the pod's own network namespace."""
    changes: dict[str, Any] = {}
    warnings = []
    for name, info in type(service.kernel).model_fields.items():
        value = dict(deployment.sysctls).get(info.alias or "")
        if value is None or re.fullmatch(r"\d{1,9}", value) is None:
            continue
        written = getattr(service.kernel, name)
        changes[name] = bool(int(value)) if isinstance(written, bool) else int(value)
        if name in service.kernel.model_fields_set and written != changes[name]:
            text = (
                f"{info.alias} {written} is not in force: {deployment.manifest.key} sets {value} for its pods"
            )
            warnings.append(warning(place, ("service", "kernel", info.alias or name), text))
    return changes, warnings


def _settle_server(service: Service, place: Place) -> tuple[dict[str, Any], list[Warning]]:
    """What Apache makes of its own settings.

    Source: httpd 2.4, server/mpm/prefork/prefork.c: MaxRequestWorkers is lowered to ServerLimit (the error
    log says so); MaxSpareServers is raised to MinSpareServers + 1 (silently).
    """
    server = service.server
    changes: dict[str, Any] = {}
    warnings: list[Warning] = []
    if not isinstance(server, ApachePrefork):
        return changes, warnings
    if server.max_request_workers > server.server_limit:
        changes["max_request_workers"] = server.server_limit
        text = (
            f"MaxRequestWorkers {server.max_request_workers} exceeds ServerLimit {server.server_limit}: "
            f"Apache lowers it to {server.server_limit}; raise ServerLimit too"
        )
        warnings.append(warning(place, ("service", "server", "MaxRequestWorkers"), text))
    if server.max_spare_servers <= server.min_spare_servers:
        raised = server.min_spare_servers + 1
        changes["max_spare_servers"] = raised
        text = (
            f"MaxSpareServers {server.max_spare_servers} is not above MinSpareServers "
            f"{server.min_spare_servers}: Apache takes {raised}"
        )
        warnings.append(warning(place, ("service", "server", "MaxSpareServers"), text))
    return changes, warnings
