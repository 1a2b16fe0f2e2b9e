"""The text of a first fleet file: a template with comments, filled in with what the manifests hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from seawall.fleet.guess import PoolGuess, ServerGuess
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.kubernetes import Container, Deployment, Ingress, Manifest
from seawall.fleet.model import Memory, NodePool, RequestClass, Start
from seawall.fleet.parts import Part
from seawall.fleet.units import format_bytes, format_cores, format_seconds
from seawall.fleet.yamlfile import resolve

READ = ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "Ingress")
"""The kinds of manifest that are read; all others are named and ignored."""
_METADATA_NOISE = ("managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SYSCTLS = (
    "net.core.somaxconn",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.tcp_abort_on_overflow",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the manifests hold for the fleet file."""

    deployment: Deployment
    others: list[str]
    """The Deployments that were not chosen."""
    ignored: list[str]
    hpa: HpaSpec | None
    hpa_name: str
    pdb_name: str
    ingress: Ingress | None
    has_service: bool
    server: ServerGuess
    pool: PoolGuess


def compose(found: Found, manifests: str) -> str:
    """The whole file; `manifests` are the items of its list of manifests, indented by four."""
    name = scalar(found.deployment.name)
    parts = [
        _HEAD.format(name=name),
        _service(found),
        _platform(found, manifests),
        _TRAFFIC,
        _assumptions(found),
        _variants(found),
    ]
    return "\n".join(parts)


_HEAD = """\
# yaml-language-server: $schema=fleet.schema.json
# A fleet for Seawall, begun by `seawall init`. What the manifests tell is filled in; look at the rest.
#
#   seawall simulate fleet.yaml              every variant, side by side, and whether it stands
#   seawall schema > fleet.schema.json       lets an editor complete and check this file
#
# Units are written as people write them: 500m (cores), 600Mi, 15ms, 5m, 99.9%.
# A commented line such as "# cpu: 20ms" shows the default in force. Those marked MEASURE stand for facts of
# your own service: every verdict lists them and is called provisional until you write your own number.
seawall: 1
name: {name}
"""

_TRAFFIC = """\
traffic:
  clients:
    timeout: 30s              # how long a client waits for its answer
    # retries: {max: 2}       # attempts after a failure; default: none
  # Closed loop: connected users, each of whom waits for an answer before asking again. PLACEHOLDER: write how
  # many you expect, and how fast they come.
  # Open loop instead, requests that come whatever happens: arrivals: {rate: "50/s -> 500/s in 30s, hold 5m"}
  # From a recording instead: recorded: {file: access.log}
  users:
    count: 0 -> 100 in 60s, hold 5m
    pace: 5s                  # one request in so much time
    # startBurst: {calls: 4}  # calls that an app makes as it opens

objectives:
  served: 99.9%               # over the whole run, and over its worst minute
  # latency: {p99: 800ms}     # add your own bounds
"""


def _service(found: Found) -> str:
    server = found.server
    settings = "".join(
        f"    {name + ': ' + value:<26}# {_line(source)}\n" for name, value, source in server.settings
    )
    sysctls = [(key, value) for key, value in found.deployment.sysctls if key in _SYSCTLS and value.isdigit()]
    kernel = "".join(f"    {key}: {value}\n" for key, value in sysctls)
    return (
        f"service:\n  name: {scalar(found.deployment.name)}\n"
        f"{_comments([f'The server in the pods, with its own settings; {server.reason}.', *server.remarks])}"
        f"  server:\n    kind: {server.kind}\n{settings}"
        "    # what is not written has the server's own default\n"
        "  # The kinds of request, by names of your own, with what each costs.\n"
        "  requests:\n    page:\n      share: 1\n"
        f"{_defaults(RequestClass, ('cpu', 'wait', 'memory'), 6)}"
        '      # match: ["GET /shop/*"]            # which lines of a recorded log belong to it\n'
        f"  # Memory of a pod.\n  # memory:\n"
        f"{_defaults(Memory, ('base', 'worker', 'application', 'growth'), 2, '  ')}"
        f"  # From the start of the container to its first answer.\n  # start:\n"
        f"{_defaults(Start, ('cpu', 'wait', 'application_cpu'), 2, '  ')}"
        + (f"  # From the pod's securityContext.\n  kernel:\n{kernel}" if kernel else "")
    )


def _platform(found: Found, manifests: str) -> str:
    pool, deployment = found.pool, found.deployment
    choice = ""
    if found.others:
        others = ", ".join(found.others)
        choice = f"  deployment: {scalar(deployment.name)}\n{_comments([f'others there: {others}'])}"
    ignored = [f"Named and ignored: {', '.join(found.ignored[:8])}"] if found.ignored else []
    ignored += [f"and {len(found.ignored) - 8} more"] if len(found.ignored) > 8 else []
    per_node = f"pods a node: about {pool.pods_per_node}" if pool.pods_per_node >= 1 else "no pod fits"
    return (
        'platform:\n  kubernetes: "1.36"          # write your own version\n'
        f"{_comments(_summary(found))}{_comments(ignored)}"
        f"  manifests:\n{manifests}\n{choice}"
        f"  # ASSUMPTION: {_line(pool.instance.name)}: {_line(pool.reason)} ({per_node}).\n"
        "  # Write your own machines, their number, and what the kubelet keeps back (reserved: eks, none,\n"
        "  # or {cpu:, memory:}).\n"
        f"  nodePools:\n    - name: nodes\n      instanceType: {scalar(pool.instance.name)}\n"
        f"      min: {pool.least}\n      max: {pool.most}\n      reserved: eks\n"
        f"{_defaults(NodePool, ('boot_time', 'system_memory'), 6)}{_balancer(found)}"
    )


def _summary(found: Found) -> list[str]:
    """What was read from the manifests, a line each."""
    deployment, main = found.deployment, found.deployment.main
    lines = [
        f"Read: Deployment {deployment.name}, replicas {deployment.replicas}, container {main.name}",
        f"requests: {_resources(main.cpu_request, main.memory_request)}; "
        f"limits: {_resources(main.cpu_limit, main.memory_limit)}",
        _probe(main),
    ]
    if found.hpa is not None:
        lines.append(f"{found.hpa_name}: {found.hpa.min_replicas} to {found.hpa.max_replicas} pods")
    else:
        lines.append("no HorizontalPodAutoscaler: the number of pods stays as it is")
    if found.pdb_name:
        lines.append(f"PodDisruptionBudget {found.pdb_name}")
    return lines


def _resources(cpu: float | None, memory: float | None) -> str:
    parts = [f"cpu {format_cores(cpu)}"] if cpu is not None else []
    parts += [f"memory {format_bytes(memory)}"] if memory is not None else []
    return " and ".join(parts) or "none"


def _probe(main: Container) -> str:
    probe = main.readiness
    if probe is None:
        return "no readinessProbe: a pod gets traffic as soon as its container runs"
    target = f"{probe.handler} {probe.path}" if probe.handler == "httpGet" else probe.handler
    return (
        f"readinessProbe: {target} every {format_seconds(probe.period_s)}, time-out "
        f"{format_seconds(probe.timeout_s)}, {probe.failure_threshold} failures"
    )


def _balancer(found: Found) -> str:
    kind = "haproxy"
    if found.ingress is not None:
        said = f"Ingress {found.ingress.name} (class {found.ingress.class_name or 'default'}): "
        said += "a proxy balances each request."
    elif found.has_service:
        kind = "kube-proxy"
        said = "No Ingress: the Service alone spreads connections, and each stays with its pod (or: haproxy)."
    else:
        said = "Neither Service nor Ingress was given: a proxy is assumed (or kind: kube-proxy)."
    return f"{_comments([said])}  balancer:\n    kind: {kind}\n"


def _assumptions(found: Found) -> str:
    return (
        "# Values that nobody measured, and why they are what they are; listed with each verdict.\n"
        "assumptions:\n"
        f"  platform.nodePools.nodes.instanceType: {scalar('guessed: ' + found.pool.reason)}\n"
        f"  service.server.kind: {scalar('guessed: ' + found.server.reason)}\n"
        "  traffic.users.count: a placeholder\n"
    )


def _variants(found: Found) -> str:
    """Two variants: as it is, and with twice the pods from the start."""
    if found.hpa is not None:
        more = min(found.hpa.max_replicas, 2 * max(1, found.hpa.min_replicas))
        patch = f"      {scalar(found.hpa_name)}:\n        spec: {{minReplicas: {more}}}\n"
    else:
        more = 2 * max(1, found.deployment.replicas)
        patch = f"      {scalar(found.deployment.manifest.key)}:\n        spec: {{replicas: {more}}}\n"
    return (
        "# Named changes to the above, run side by side. Keys not written stay as they are, null takes one\n"
        "# away, list items are matched by name; manifests are patched by Kind/name.\n"
        "variants:\n  today: {}\n  more-pods:\n    manifests:\n" + patch
    )


def _defaults(part: type[Part], names: tuple[str, ...], indent: int, inner: str = "") -> str:
    """Commented lines with the defaults in force of a part's fields, and what each field is."""
    lines = []
    for name in names:
        info = part.model_fields[name]
        value = getattr(info.default, "a", info.default)
        is_size = value >= 1024 or "emory" in str(info.description) or part is Memory
        shown = f"{inner}{info.alias}: {format_bytes(value) if is_size else format_seconds(value)}"
        about = _line((info.description or "").replace("\n", " "))
        lines.append(f"{' ' * indent}# {shown:<26}# MEASURE: {about}\n")
    return "".join(lines)


def inline(manifest: Manifest) -> str:
    """A manifest as a list item of the fleet file, without what the cluster itself added to it."""
    data = {key: value for key, value in manifest.data.items() if key != "status"}
    metadata = {k: v for k, v in manifest.mapping("metadata").items() if k not in _METADATA_NOISE}
    annotations = {k: v for k, v in manifest.mapping("metadata", "annotations").items() if k != _LAST_APPLIED}
    metadata.pop("annotations", None)
    data["metadata"] = {**metadata, **({"annotations": annotations} if annotations else {})}
    text = yaml.dump([data], Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n"))


class _Dumper(yaml.SafeDumper):
    """Writes YAML that our reader reads back as it was: text that would be taken for a number is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    block = "\n" in text and text == text.strip() and all(c.isprintable() or c == "\n" for c in text)
    plain = resolve(text) is text and text.isprintable()
    style = "|" if block else (None if plain else '"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def scalar(text: str) -> str:
    """A text as a YAML value: plain where that is safe, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*[A-Za-z0-9_./]|[A-Za-z0-9.]", text)
    return text if plain and resolve(text) is text else json.dumps(text, ensure_ascii=False)


def _line(text: str) -> str:
    """A text as part of a comment: one line, of bounded length."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= 120 else f"{line[:117]}..."


def _comments(lines: Iterable[str], indent: int = 2) -> str:
    return "".join(f"{' ' * indent}# {_line(line)}\n" for line in lines)
