"""What manifests give away about a service: its server and that server's settings, and machines that fit."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from seawall.fleet.catalogue import InstanceType, instance_type, instance_types
from seawall.fleet.errors import InputError
from seawall.fleet.kubernetes import Container, Deployment, Manifest, lookup

_FAMILIES = ("t3", "m6i", "r6i")
_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
_APACHE_DIRECTIVES = (
    "StartServers",
    "MinSpareServers",
    "MaxSpareServers",
    "MaxRequestWorkers",
    "ServerLimit",
    "MaxConnectionsPerChild",
    "ListenBacklog",
    "MaxKeepAliveRequests",
    "KeepAliveTimeout",
    "KeepAlive",
)
_MAY_BE_ZERO = ("StartServers", "MaxConnectionsPerChild", "MaxKeepAliveRequests", "KeepAliveTimeout")
_GUNICORN_FLAGS = {
    "-w": "workers",
    "--workers": "workers",
    "-t": "timeout",
    "--timeout": "timeout",
    "--max-requests": "max_requests",
    "--backlog": "backlog",
}
_NOT_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ServerGuess:
    """A server kind, its settings with where each was found, why this kind, and what to look at."""

    kind: str
    reason: str
    settings: tuple[tuple[str, str, str], ...] = ()
    """(directive, value, where it was found)"""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolGuess:
    """A machine type into which the pods fit, how many nodes for the fewest and the most pods, and why."""

    instance: InstanceType
    pods_per_node: int
    least: int
    most: int
    reason: str


def environment(deployment: Deployment, manifests: Iterable[Manifest]) -> dict[str, str]:
    """The serving container's environment as far as the manifests tell: values, and those of ConfigMaps."""
    maps = {m.name: m.mapping("data") for m in manifests if m.kind == "ConfigMap"}
    path = ("spec", "template", "spec", "containers", 0)
    found: dict[str, str] = {}
    for source in deployment.manifest.items(*path, "envFrom"):
        prefix = lookup(source, ("prefix",), "")
        for key, value in maps.get(lookup(source, ("configMapRef", "name"), ""), {}).items():
            found[f"{prefix}{key}"] = str(value)
    for item in deployment.manifest.items(*path, "env"):
        name, value = lookup(item, ("name",)), lookup(item, ("value",))
        if value is None:
            reference = lookup(item, ("valueFrom", "configMapKeyRef"), {})
            value = maps.get(lookup(reference, ("name",), ""), {}).get(lookup(reference, ("key",), ""))
        if name is not None and value is not None:
            found[str(name)] = str(value)
    return found


def guess_server(container: Container, env: Mapping[str, str]) -> ServerGuess:
    """The server that a container most likely runs. Of several signs the command counts first, then env."""
    words = _words(container.command, env)
    told = _NOT_WORDS.sub(" ", f"{container.image} {container.name} {' '.join(words)}".lower()).split()
    runs_gunicorn = any(word.rsplit("/", 1)[-1] == "gunicorn" for word in words)
    apache = _apache_settings(env)
    if runs_gunicorn or "GUNICORN_CMD_ARGS" in env:
        return _gunicorn(words, env, "the manifest runs gunicorn")
    if apache or {"apache", "apache2", "apache2ctl", "httpd", "wsgi", "modwsgi"} & set(told):
        reason = (
            f"found {apache[0][2]}" if apache else f"the image or command names Apache ({container.image})"
        )
        return ServerGuess("apache-prefork", reason, apache, _over_limit(apache))
    if "WEB_CONCURRENCY" in env or "gunicorn" in told:
        sign = (
            "found env WEB_CONCURRENCY" if "WEB_CONCURRENCY" in env else "the image or command names gunicorn"
        )
        return _gunicorn(words, env, sign)
    remark = "nothing in the manifests says which server this is: choose apache-prefork or gunicorn-sync"
    return _gunicorn((), env, "a mere guess", (remark,))


def _words(command: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """The command's words: shell lines split up, $NAME and $(NAME) filled in where known."""
    words: list[str] = []
    for text in command:
        filled = re.sub(
            r"\$(?:\((\w+)\)|\{(\w+)(?::-[^}]*)?\}|(\w+))",
            lambda m: env.get(m.group(1) or m.group(2) or m.group(3), ""),
            text,
        )
        try:
            words += shlex.split(filled) if " " in filled or "\n" in filled else [filled]
        except ValueError:
            words += filled.split()
    return tuple(words)


def _apache_settings(env: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Directives given by variables such as APACHE_MPM_MAX_REQUEST_WORKERS, in Apache's order."""
    found: dict[str, tuple[str, str, str]] = {}
    for name, value in env.items():
        folded = _NOT_WORDS.sub("", name.lower())
        directive = next((d for d in _APACHE_DIRECTIVES if folded.endswith(d.lower())), None)
        if directive is not None and directive not in found and _plausible(directive, value.strip()):
            found[directive] = (directive, value.strip(), f"env {name}")
    return tuple(found[d] for d in _APACHE_DIRECTIVES if d in found)


def _plausible(directive: str, value: str) -> bool:
    """Whether a variable's value can be what its name says, and not something else that is named alike."""
    if directive == "KeepAlive":
        return value.lower() in ("on", "off")
    least = 0 if directive in _MAY_BE_ZERO else 1
    return re.fullmatch(r"\d{1,5}", value) is not None and least <= int(value) <= 20000


def _over_limit(settings: tuple[tuple[str, str, str], ...]) -> tuple[str, ...]:
    given = {name: int(value) for name, value, _ in settings if value.isdigit()}
    limit, workers = given.get("ServerLimit", 256), given.get("MaxRequestWorkers", 256)
    return (f"MaxRequestWorkers is above ServerLimit ({limit}): Apache lowers it",) if workers > limit else ()


def _gunicorn(
    words: tuple[str, ...], env: Mapping[str, str], reason: str, remarks: tuple[str, ...] = ()
) -> ServerGuess:
    """gunicorn's settings: the command counts more than GUNICORN_CMD_ARGS, that more than WEB_CONCURRENCY."""
    found: dict[str, tuple[str, str, str]] = {}
    if re.fullmatch(r"[1-9]\d{0,3}", env.get("WEB_CONCURRENCY", "")):
        found["workers"] = ("workers", env["WEB_CONCURRENCY"], "env WEB_CONCURRENCY")
    extra = _words((env.get("GUNICORN_CMD_ARGS", "") + " ",), env)
    for source, arguments in (("env GUNICORN_CMD_ARGS", extra), ("the command", words)):
        for flag, value in _flags(arguments):
            if flag in _GUNICORN_FLAGS and re.fullmatch(r"[1-9]\d{0,3}", value):
                name = _GUNICORN_FLAGS[flag]
                found[name] = (name, f"{value}s" if name == "timeout" else value, source)
            elif flag == "--preload":
                found["preload_app"] = ("preload_app", "true", source)
            elif (flag in ("-k", "--worker-class") and value != "sync") or flag == "--threads":
                remark = f"{flag} {value}: Seawall models sync workers, one request at a time"
                remarks = (*remarks, remark)
    return ServerGuess("gunicorn-sync", reason, tuple(found.values()), remarks)


def _flags(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """(flag, value) of each flag, from `-w 4`, `-w4`, `--workers 4` and `--workers=4`."""
    found = []
    for i, word in enumerate(words):
        if not word.startswith("-"):
            continue
        flag, equals, value = word.partition("=")
        if not equals and not word.startswith("--") and len(word) > 2:
            flag, value = word[:2], word[2:]
        elif not equals:
            value = words[i + 1] if i + 1 < len(words) else ""
        found.append((flag, value))
    return found


def guess_pool(deployment: Deployment, least_pods: int, most_pods: int) -> PoolGuess:
    """The cheapest x86 machine of the common families into which a pod fits, or the largest where none does.

    A pod is taken at its request, or at its memory limit where that is more, beside half a core and 256 MiB
    for daemon sets. A type that the Deployment's nodeSelector names is taken as it is.
    """
    for name in (value for key, value in deployment.node_selector if key in _TYPE_LABELS):
        try:
            return _pool(deployment, instance_type(name), least_pods, most_pods, "its nodeSelector names it")
        except InputError:
            continue
    guess = None
    for name in instance_types():
        family, _, size = name.partition(".")
        if family in _FAMILIES and not size.startswith("metal"):
            machine, why = instance_type(name), "the cheapest common type into which a pod fits"
            guess = _pool(deployment, machine, least_pods, most_pods, why)
            if guess.pods_per_node >= 1:
                return guess
    assert guess is not None
    return replace(guess, reason="no common type is large enough for a pod")


def _pool(
    deployment: Deployment, machine: InstanceType, least_pods: int, most_pods: int, reason: str
) -> PoolGuess:
    memory = max(deployment.pod_memory_request, deployment.memory_limit or 0.0)
    fits = [machine.max_pods - 4]
    if deployment.pod_cpu_request:
        fits.append(math.floor((machine.allocatable_cpu - 0.5) / deployment.pod_cpu_request))
    if memory:
        fits.append(math.floor((machine.allocatable_memory - 256 * 2**20) / memory))
    pods = min(fits)
    per_node = max(1, pods)
    least, most = (max(1, math.ceil(n / per_node)) for n in (least_pods, most_pods))
    return PoolGuess(machine, pods, least, max(least, most), reason)
