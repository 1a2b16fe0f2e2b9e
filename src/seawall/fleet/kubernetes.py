"""Typed readers of the user's own Kubernetes manifests, taken as they are: unknown fields are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from seawall.fleet.errors import InputError
from seawall.fleet.hpa_manifest import parse_hpa
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.units import parse_quantity, shown
from seawall.fleet.yamlfile import Document, Place, Steps

MOST_PODS = 150_000
"""Pods that a cluster holds at most. Source: Kubernetes' documentation, considerations for large clusters."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object: its data as written, and where it stands."""

    kind: str
    name: str
    api_version: str
    data: dict[str, Any] = field(repr=False)
    place: Place = field(repr=False)

    @property
    def key(self) -> str:
        """`Kind/name`, by which variants and messages name it."""
        return f"{self.kind}/{self.name}"

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value at `path`, or `default` where any step is absent or null."""
        return lookup(self.data, path, default)

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """The mapping at `path`, empty where there is none; InputError where something else stands there."""
        value = self.get(*path, default={})
        if not isinstance(value, dict):
            raise self.error(f"{'.'.join(map(str, path))} is {shown(value)}; write a mapping", *path)
        return value

    def items(self, *path: str | int) -> list[Any]:
        """The list at `path`, empty where there is none; InputError where something else stands there."""
        value = self.get(*path, default=[])
        if not isinstance(value, list):
            raise self.error(f"{'.'.join(map(str, path))} is {shown(value)}; write a list", *path)
        return value

    def error(self, message: str, *path: str | int) -> InputError:
        """An InputError at the place of `path` in this manifest."""
        where = self.place.find(path)
        return InputError(f"{self.key}: {message}", file=where.file, line=where.line)


@dataclass(frozen=True, slots=True)
class Probe:
    """A container's probe, with Kubernetes' defaults filled in. Source: k8s pkg/apis/core/v1/defaults.go."""

    handler: str
    """httpGet, tcpSocket, exec or grpc."""
    path: str
    port: str
    period_s: float = 10.0
    timeout_s: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    initial_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container: requests default to limits; None where neither is given. Cores and bytes."""

    name: str
    image: str
    cpu_request: float | None
    cpu_limit: float | None
    memory_request: float | None
    memory_limit: float | None
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    ports: tuple[int, ...]
    readiness: Probe | None
    liveness: Probe | None
    startup: Probe | None
    sidecar: bool = False
    """An init container with restartPolicy Always: it runs as long as the pod."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment as the API server would complete it. The first container is the one that serves."""

    name: str
    namespace: str
    replicas: int
    replicas_given: bool
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    pod_cpu_request: float
    """Cores that the scheduler reckons for a pod: all containers, sidecars and init containers, overhead."""
    pod_memory_request: float
    """Bytes that the scheduler reckons for a pod."""
    pod_level_requests: bool
    """Whether the pod itself has requests (`spec.resources`), which then stand in for its containers'."""
    termination_grace_s: float
    max_surge: str
    max_unavailable: str
    strategy: str
    priority_class: str
    labels: tuple[tuple[str, str], ...]
    node_selector: tuple[tuple[str, str], ...]
    tolerations: tuple[dict[str, Any], ...]
    sysctls: tuple[tuple[str, str], ...]
    manifest: Manifest

    @property
    def main(self) -> Container:
        """The container that serves: the first."""
        return self.containers[0]

    @property
    def long_running(self) -> tuple[Container, ...]:
        """The containers that run as long as the pod: sidecars and containers."""
        return (*(c for c in self.init_containers if c.sidecar), *self.containers)

    @property
    def cpu_request(self) -> float:
        """Cores requested by the serving container; 0 where it requests none."""
        return self.main.cpu_request or 0.0

    @property
    def cpu_limit(self) -> float | None:
        """Cores to which the serving container is throttled; None: no limit."""
        return self.main.cpu_limit

    @property
    def memory_request(self) -> float:
        """Bytes requested by the serving container; 0 where it requests none."""
        return self.main.memory_request or 0.0

    @property
    def memory_limit(self) -> float | None:
        """Bytes at which the serving container is killed; None: no limit."""
        return self.main.memory_limit

    @property
    def readiness(self) -> Probe | None:
        """The serving container's readiness probe; None: ready as soon as it runs."""
        return self.main.readiness


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget: one of the two bounds, as written (a number or a percentage)."""

    name: str
    min_available: str | None
    max_unavailable: str | None
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Service:
    """A Service: what it selects, and by which type it is reached."""

    name: str
    type: str
    """ClusterIP, NodePort, LoadBalancer or ExternalName."""
    selector: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ingress:
    """An Ingress: its controller's class, and the Services that it sends requests to."""

    name: str
    class_name: str
    services: tuple[str, ...]


def lookup(data: Any, path: Iterable[str | int], default: Any = None) -> Any:
    """The value at `path` in nested dicts and lists, or `default` where a step is absent or null."""
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return default
    return default if data is None else data


def manifests_of(documents: Iterable[Document]) -> tuple[list[Manifest], list[str]]:
    """The Kubernetes objects in `documents`, lists (`kind: List`) opened up, and what is not one, by name."""
    found: list[Manifest] = []
    strangers: list[str] = []
    for document in documents:
        _collect(document.data, document.lines, found, strangers)
    return found, strangers


def _collect(data: Any, place: Place, found: list[Manifest], strangers: list[str]) -> None:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        strangers.append(f"{place.file}:{place.line}: no Kubernetes manifest (it has no kind)")
        return
    kind = data["kind"]
    if kind.endswith("List") and isinstance(data.get("items"), list):
        for i, item in enumerate(data["items"]):
            if isinstance(item, dict) and "kind" not in item and kind != "List":
                item = {"kind": kind.removesuffix("List"), "apiVersion": data.get("apiVersion"), **item}
            _collect(item, place.find(("items", i)), found, strangers)
        return
    name = lookup(data, ("metadata", "name")) or lookup(data, ("metadata", "generateName"), "")
    found.append(Manifest(kind, str(name), str(data.get("apiVersion") or ""), data, place))


def read_deployment(manifest: Manifest) -> Deployment:
    """A Deployment from its manifest. InputError where the API server would refuse it."""
    if manifest.api_version != "apps/v1":
        written = manifest.api_version or "nothing"
        raise manifest.error(f"apiVersion is {written}; write apps/v1", "apiVersion")
    if not manifest.name:
        raise manifest.error("metadata.name is missing; give it a name", "metadata")
    spec: Steps = ("spec", "template", "spec")
    listed = manifest.items(*spec, "containers")
    if not listed:
        raise manifest.error("spec.template.spec.containers is missing; give at least one container", *spec)
    containers = tuple(_container(manifest, (*spec, "containers", i)) for i in range(len(listed)))
    inits = range(len(manifest.items(*spec, "initContainers")))
    init_containers = tuple(_container(manifest, (*spec, "initContainers", i)) for i in inits)
    _check_selector(manifest)
    replicas = _whole(manifest, ("spec", "replicas"), 1)
    if replicas > MOST_PODS:
        message = f"replicas is {replicas}; a cluster of Kubernetes holds at most {MOST_PODS:,} pods"
        raise manifest.error(message, "spec", "replicas")
    rolling = ("spec", "strategy", "rollingUpdate")
    pod_cpu, pod_memory = (
        _pod_request(manifest, spec, containers, init_containers, r) for r in ("cpu", "memory")
    )
    return Deployment(
        name=manifest.name,
        namespace=str(manifest.get("metadata", "namespace", default="default")),
        replicas=replicas,
        replicas_given=manifest.get("spec", "replicas") is not None,
        containers=containers,
        init_containers=init_containers,
        pod_cpu_request=pod_cpu,
        pod_memory_request=pod_memory,
        pod_level_requests=manifest.get(*spec, "resources", "requests") is not None,
        termination_grace_s=float(_whole(manifest, (*spec, "terminationGracePeriodSeconds"), 30)),
        max_surge=str(manifest.get(*rolling, "maxSurge", default="25%")),
        max_unavailable=str(manifest.get(*rolling, "maxUnavailable", default="25%")),
        strategy=str(manifest.get("spec", "strategy", "type", default="RollingUpdate")),
        priority_class=str(manifest.get(*spec, "priorityClassName", default="")),
        labels=_pairs(manifest.mapping("spec", "template", "metadata", "labels")),
        node_selector=_pairs(manifest.mapping(*spec, "nodeSelector")),
        tolerations=tuple(t for t in manifest.items(*spec, "tolerations") if isinstance(t, dict)),
        sysctls=_named_values(manifest.items(*spec, "securityContext", "sysctls")),
        manifest=manifest,
    )


def read_disruption_budget(manifest: Manifest) -> DisruptionBudget:
    """A PodDisruptionBudget from its manifest."""
    least, most = manifest.get("spec", "minAvailable"), manifest.get("spec", "maxUnavailable")
    if least is not None and most is not None:
        raise manifest.error("has minAvailable and maxUnavailable; Kubernetes takes one of them", "spec")
    return DisruptionBudget(
        manifest.name, None if least is None else str(least), None if most is None else str(most), manifest
    )


def read_service(manifest: Manifest) -> Service:
    """A Service from its manifest."""
    kind = str(manifest.get("spec", "type", default="ClusterIP"))
    return Service(manifest.name, kind, _pairs(manifest.mapping("spec", "selector")))


def read_ingress(manifest: Manifest) -> Ingress:
    """An Ingress from its manifest (networking.k8s.io/v1); its class also from the older annotation."""
    annotation = ("metadata", "annotations", "kubernetes.io/ingress.class")
    class_name = manifest.get("spec", "ingressClassName") or manifest.get(*annotation, default="")
    backends = [manifest.get("spec", "defaultBackend", "service", "name")]
    for rule in manifest.items("spec", "rules"):
        paths = lookup(rule, ("http", "paths"), [])
        backends += [lookup(path, ("backend", "service", "name")) for path in paths]
    return Ingress(manifest.name, str(class_name), tuple(dict.fromkeys(str(b) for b in backends if b)))


def read_hpa(manifest: Manifest) -> HpaSpec:
    """A HorizontalPodAutoscaler from its manifest. InputError where the API server would refuse it."""
    where = manifest.place

    def line_of(path: Steps) -> int:
        nonlocal where
        where = manifest.place.find(path)
        return where.line

    try:
        return parse_hpa(manifest.data, line_of=line_of)
    except InputError as error:
        raise InputError(f"{manifest.key}: {error.message}", file=where.file, line=where.line) from None


def _pairs(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in data.items())


def _named_values(items: list[Any]) -> tuple[tuple[str, str], ...]:
    """Name and value of each item of a list such as `env` or `sysctls`."""
    return tuple((str(i.get("name")), str(i.get("value", ""))) for i in items if isinstance(i, dict))


def _check_selector(manifest: Manifest) -> None:
    """The API server refuses a Deployment whose selector does not match its own template."""
    labels = manifest.mapping("spec", "template", "metadata", "labels")
    wanted = manifest.mapping("spec", "selector", "matchLabels")
    if manifest.get("spec", "selector") is None:
        raise manifest.error("spec.selector is missing; write matchLabels as in the template", "spec")
    for key, value in wanted.items():
        if labels.get(key) != value:
            raise manifest.error(
                f"the selector wants {key}: {value}, the template's labels say {labels.get(key)!r}; "
                "the API server refuses it: make them the same",
                *("spec", "selector", "matchLabels", key),
            )


def _whole(manifest: Manifest, path: Steps, default: int, least: int = 0) -> int:
    value = manifest.get(*path, default=default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        name = ".".join(map(str, path))
        raise manifest.error(f"{name} is {value!r}; write a whole number of at least {least}", *path)
    return value


def _container(manifest: Manifest, path: Steps) -> Container:
    data = manifest.get(*path, default={})
    if not isinstance(data, dict):
        raise manifest.error("a container is a mapping with name and image", *path)
    limits = {r: _quantity(manifest, (*path, "resources", "limits", r)) for r in ("cpu", "memory")}
    requests = {r: _quantity(manifest, (*path, "resources", "requests", r)) for r in ("cpu", "memory")}
    for resource, limit in limits.items():
        request = requests[resource]
        if request is None:
            requests[resource] = limit
        elif limit is not None and request > limit:
            asked, bound = (lookup(data, ("resources", key, resource)) for key in ("requests", "limits"))
            raise manifest.error(
                f"container {data.get('name')} requests {resource} {asked}, above its limit {bound}; "
                "the API server refuses it: lower the request or raise the limit",
                *(*path, "resources", "requests", resource),
            )
    words = [*manifest.items(*path, "command"), *manifest.items(*path, "args")]
    ports = [lookup(port, ("containerPort",)) for port in manifest.items(*path, "ports")]
    return Container(
        name=str(data.get("name") or ""),
        image=str(data.get("image") or ""),
        cpu_request=requests["cpu"],
        cpu_limit=limits["cpu"],
        memory_request=requests["memory"],
        memory_limit=limits["memory"],
        command=tuple(str(word) for word in words),
        env=_named_values(manifest.items(*path, "env")),
        ports=tuple(p for p in ports if isinstance(p, int)),
        readiness=_probe(manifest, (*path, "readinessProbe")),
        liveness=_probe(manifest, (*path, "livenessProbe")),
        startup=_probe(manifest, (*path, "startupProbe")),
        sidecar=data.get("restartPolicy") == "Always",
    )


def _quantity(manifest: Manifest, path: Steps) -> float | None:
    value = manifest.get(*path)
    if value is None:
        return None
    try:
        quantity = parse_quantity(value)
    except ValueError as error:
        raise manifest.error(f"{'.'.join(map(str, path[-3:]))}: {error}", *path) from None
    if quantity < 0:
        raise manifest.error(f"{'.'.join(map(str, path[-3:]))} is {value!r}; it must not be negative", *path)
    return quantity


def _probe(manifest: Manifest, path: Steps) -> Probe | None:
    if manifest.get(*path) is None:
        return None
    data = manifest.mapping(*path)
    handlers = [h for h in ("httpGet", "tcpSocket", "exec", "grpc") if lookup(data, (h,)) is not None]
    if len(handlers) != 1:
        raise manifest.error(f"{path[-1]} needs one of httpGet, tcpSocket, exec, grpc", *path)
    success = _whole(manifest, (*path, "successThreshold"), 1, 1)
    if success != 1 and path[-1] != "readinessProbe":
        raise manifest.error(f"{path[-1]}.successThreshold must be 1", *path, "successThreshold")
    return Probe(
        handler=handlers[0],
        path=str(lookup(data, (handlers[0], "path"), "/")),
        port=str(lookup(data, (handlers[0], "port"), "")),
        period_s=float(_whole(manifest, (*path, "periodSeconds"), 10, 1)),
        timeout_s=float(_whole(manifest, (*path, "timeoutSeconds"), 1, 1)),
        success_threshold=success,
        failure_threshold=_whole(manifest, (*path, "failureThreshold"), 3, 1),
        initial_delay_s=float(_whole(manifest, (*path, "initialDelaySeconds"), 0)),
    )


def _pod_request(
    manifest: Manifest,
    spec: Steps,
    containers: tuple[Container, ...],
    init_containers: tuple[Container, ...],
    resource: str,
) -> float:
    """What the scheduler reckons for a pod, in cores or bytes.

    Source: k8s component-helpers/resource/helpers.go, PodRequests: the containers and sidecars together, or
    the largest init container with the sidecars started before it, whichever is more; then the overhead.
    Requests of the pod itself (`spec.resources`) stand in for all of its containers.
    """
    own = _quantity(manifest, (*spec, "resources", "requests", resource))
    if own is None:
        own = _quantity(manifest, (*spec, "resources", "limits", resource))

    def of(container: Container) -> float:
        return (container.cpu_request if resource == "cpu" else container.memory_request) or 0.0

    sidecars = starting = 0.0
    for init in init_containers:
        starting = max(starting, sidecars + of(init))
        sidecars += of(init) if init.sidecar else 0.0
    running = sidecars + sum(of(container) for container in containers)
    overhead = _quantity(manifest, (*spec, "overhead", resource)) or 0.0
    return (max(running, starting) if own is None else own) + overhead
