"""What parts of a fleet say against each other, and what the real systems would make of it."""

from __future__ import annotations

import re

from seawall.fleet.errors import InputError, together
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, TargetType
from seawall.fleet.kubernetes import Deployment, Manifest
from seawall.fleet.model import ApachePrefork, FleetFile, GunicornSync, ModWsgi, Service
from seawall.fleet.pools import Pool
from seawall.fleet.problems import path_text
from seawall.fleet.settle import Warning, warning
from seawall.fleet.units import MIB, shown
from seawall.fleet.yamlfile import Place, Steps


def refuse_contradictions(file: FleetFile, place: Place) -> None:
    """InputError listing every value of the file that cannot be true together with another one."""
    found = [*_check_pools(file), *_check_demand(file), *_check_requests(file)]
    errors = []
    for path, message in found:
        where = place.find(path)
        errors.append(InputError(f"{path_text(path)}: {message}", file=where.file, line=where.line))
    if errors:
        raise together(errors)


_Found = list[tuple[Steps, str]]


def _check_pools(file: FleetFile) -> _Found:
    found: _Found = []
    seen: set[str] = set()
    for i, pool in enumerate(file.platform.node_pools):
        path: Steps = ("platform", "nodePools", i)
        if pool.name in seen:
            found.append(((*path, "name"), f"there are two pools {pool.name}; give each a name of its own"))
        seen.add(pool.name)
        if pool.min > pool.max:
            message = f"min {pool.min} is more than max {pool.max}; lower the one or raise the other"
            found.append(((*path, "min"), message))
        elif pool.initial is not None and not pool.min <= pool.initial <= pool.max:
            message = f"initial {pool.initial} is not between min {pool.min} and max {pool.max}"
            found.append(((*path, "initial"), message))
    if sum(pool.max for pool in file.platform.node_pools) == 0:
        found.append((("platform", "nodePools"), "all pools have max 0; give at least one node"))
    return found


def _check_demand(file: FleetFile) -> _Found:
    found: _Found = []
    traffic, users = file.traffic, file.traffic.users
    if users is None and traffic.arrivals is None and traffic.recorded is None:
        found.append((("traffic",), "nothing comes; write users, arrivals or recorded"))
    if users is not None and (users.pace is None) == (users.think is None):
        both = "has both pace and think" if users.pace is not None else "has neither pace nor think"
        message = f"{both}; write one, for example pace: 5s (one request each 5 s) or think: 2s"
        found.append((("traffic", "users"), message))
    for name in file.objectives.latency:
        if not re.fullmatch(r"p\d{1,2}(\.\d+)?", name) or float(name[1:]) == 0:
            message = "is not a percentile; write for example p50, p95, p99 or p99.9"
            found.append((("objectives", "latency", name), message))
    return found


def _check_requests(file: FleetFile) -> _Found:
    found: _Found = []
    requests = file.service.requests
    if sum(request.share for request in requests.values()) <= 0:
        found.append((("service", "requests"), "all shares are 0; give at least one more"))
    for name, request in requests.items():
        for i, pattern in enumerate(request.match):
            try:
                re.compile(pattern.removeprefix("~") if pattern.startswith("~") else "")
            except (re.error, RecursionError, OverflowError) as error:
                path = ("service", "requests", name, "match", i)
                found.append((path, f"{shown(pattern)} is not a regular expression: {error}"))
    return found


def check(
    file: FleetFile,
    place: Place,
    deployment: Deployment,
    hpa: HpaSpec | None,
    hpa_manifest: Manifest | None,
    pools: tuple[Pool, ...],
) -> tuple[Warning, ...]:
    """Warnings about what Kubernetes accepts and the user will not have meant.

    InputError for manifests that contradict each other: an HPA that can never act.
    """
    found: list[Warning] = []
    if hpa is not None and hpa_manifest is not None:
        refuse_blind_hpa(deployment, hpa, hpa_manifest)
        found += _check_replicas(deployment, hpa, hpa_manifest)
    return (*found, *_check_size(deployment, pools), *_check_memory(file, place, deployment, pools))


def full_memory(service: Service) -> float:
    """Bytes of one pod with every worker started, grown to its steady size and serving a request; no leak."""
    memory, server = service.memory, service.server
    share = sum(r.share for r in service.requests.values()) or 1.0
    request = sum(r.share / share * r.memory.mean for r in service.requests.values())
    grown = memory.application + memory.growth
    if isinstance(server, GunicornSync):
        # Pages of an application loaded before the fork are shared; what a worker gains is its own.
        shared = memory.application if server.preload_app else 0.0
        return memory.base + shared + server.workers * (memory.worker + grown - shared + request)
    if isinstance(server.mod_wsgi, ModWsgi):
        processes, threads = server.mod_wsgi.processes, server.mod_wsgi.threads
        served = min(processes * threads, server.max_request_workers)
        children = server.max_request_workers * memory.worker
        return memory.base + children + processes * (memory.worker + grown) + served * request
    return memory.base + server.max_request_workers * (memory.worker + grown + request)


def refuse_blind_hpa(deployment: Deployment, hpa: HpaSpec, manifest: Manifest) -> None:
    """InputError for an autoscaler that can never act: it wants a share of a request that is not there.

    Source: k8s pkg/controller/podautoscaler/replica_calculator.go, calculateRequests: one container without
    the request is enough, and the sync ends with FailedGetResourceMetric (or ...ContainerResourceMetric).
    """
    for i, metric in enumerate(hpa.metrics):
        by_pod = metric.target.type == TargetType.UTILIZATION and not metric.container
        if metric.target.type != TargetType.UTILIZATION or (by_pod and deployment.pod_level_requests):
            continue
        missing = _without_request(deployment, metric)
        if missing is not None:
            reason = "FailedGetResourceMetric" if by_pod else "FailedGetContainerResourceMetric"
            raise manifest.error(
                f"scales on {metric.name} utilisation, a share of the request, but {missing}: Kubernetes would "
                f"report {reason} (missing request for {metric.name}) at each sync and never scale on it; "
                f"write resources.requests.{metric.name} in the Deployment, or take the metric out",
                *("spec", "metrics", i),
            )


def _without_request(deployment: Deployment, metric: MetricSpec) -> str | None:
    """Which container lacks the request that a metric divides by, in words; None if all have it."""
    owner = deployment.manifest.key
    asked = [c for c in deployment.long_running if metric.container in ("", c.name)]
    if not asked:
        return f"{owner} has no container {metric.container}"
    for container in asked:
        given = {"cpu": container.cpu_request, "memory": container.memory_request}
        if given.get(metric.name, 1.0) is None:
            return f"container {container.name} of {owner} requests no {metric.name}"
    return None


def _check_replicas(deployment: Deployment, hpa: HpaSpec, manifest: Manifest) -> list[Warning]:
    if not deployment.replicas_given or hpa.min_replicas <= deployment.replicas <= hpa.max_replicas:
        return []
    text = (
        f"{deployment.manifest.key} starts with replicas {deployment.replicas}; {manifest.key} brings it "
        f"between {hpa.min_replicas} and {hpa.max_replicas} at its first sync"
    )
    return [warning(deployment.manifest.place, ("spec", "replicas"), text)]


def _check_size(deployment: Deployment, pools: tuple[Pool, ...]) -> list[Warning]:
    fits = [
        pool
        for pool in pools
        if deployment.pod_cpu_request <= pool.free_cpu and deployment.pod_memory_request <= pool.free_memory
    ]
    if fits:
        return []
    nodes = ", ".join(f"{p.name}: {p.free_cpu:.2f} cores, {p.free_memory / MIB:.0f} MiB" for p in pools)
    text = (
        f"a pod of {deployment.manifest.key} requests {deployment.pod_cpu_request:g} cores and "
        f"{deployment.pod_memory_request / MIB:.0f} MiB, more than any node can give ({nodes}): "
        "its pods stay Pending"
    )
    return [warning(deployment.manifest.place, ("spec", "template", "spec", "containers"), text)]


def _check_memory(
    file: FleetFile, place: Place, deployment: Deployment, pools: tuple[Pool, ...]
) -> list[Warning]:
    """What all workers together come to, against what the container or the node can give them."""
    needed = full_memory(file.service)
    if deployment.memory_limit is not None:
        bound, whose = deployment.memory_limit, "the container's memory limit"
    else:
        bound, whose = max(pool.kubepods_memory_cap for pool in pools), "what a node has for all its pods"
    if needed <= bound:
        return []
    server = file.service.server
    key, workers = (
        ("MaxRequestWorkers", server.max_request_workers)
        if isinstance(server, ApachePrefork)
        else ("workers", server.workers)
    )
    text = (
        f"{key} {workers} lets a pod grow to {needed / MIB:.0f} MiB when all workers are busy, above {whose} "
        f"({bound / MIB:.0f} MiB): a wave can have it killed"
    )
    return [warning(place, ("service", "server", key), text)]
