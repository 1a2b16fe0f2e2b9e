"""The words of a record: every column of its series, kind of event and total, with unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """Which bin a value is counted in."""

    INTENDED = "intended"
    """The bin in which the request was meant to be sent."""
    MOMENT = "moment"
    """The bin in which it happened."""
    STATE = "state"
    """The state at the end of the bin."""
    MEAN = "mean"
    """The mean over the bin."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the series: its unit, which bin a value belongs to, and what it says."""

    unit: str
    by: By
    meaning: str
    whole: bool = True
    """Whole numbers (int64 in the file) or measures (float64)."""


COLUMNS: dict[str, Column] = {
    "t": Column("s", By.STATE, "start of the bin, from the start of the run", whole=False),
    "sent": Column("requests", By.INTENDED, "requests meant to be sent, those shed among them"),
    "answered": Column("requests", By.INTENDED, "2xx to 4xx, right body, within the client's time-out"),
    "failed": Column("requests", By.INTENDED, "5xx, connection reset, wrong body"),
    "timed_out": Column("requests", By.INTENDED, "given up by the client after its connect or read time-out"),
    "refused": Column("requests", By.INTENDED, "connection refused"),
    "shed": Column("requests", By.INTENDED, "not sent because a cap of the generator was reached"),
    "answered_4xx": Column("requests", By.INTENDED, "of those answered: with a status of 400 to 499"),
    "failed_5xx": Column("requests", By.INTENDED, "of those failed: a status of 500 or above"),
    "failed_reset": Column("requests", By.INTENDED, "of those failed: reset or closed before an answer"),
    "failed_body": Column("requests", By.INTENDED, "of those failed: without the body that was expected"),
    "failed_protocol": Column("requests", By.INTENDED, "of those failed: not HTTP, cut short, or TLS failed"),
    "timed_out_connect": Column("requests", By.INTENDED, "of those timed out: no connection in time"),
    "timed_out_read": Column("requests", By.INTENDED, "of those timed out: no whole answer in time"),
    "attempts": Column("attempts", By.INTENDED, "tries on behalf of these requests, retries among them"),
    "lateness_p99_ms": Column(
        "ms", By.INTENDED, "how late the generator itself was: its 99th percentile", whole=False
    ),
    "answered_at": Column("requests", By.MOMENT, "requests whose answer arrived in this bin"),
    "failed_at": Column("requests", By.MOMENT, "requests that failed, timed out or were refused in this bin"),
    "wasted": Column("requests", By.MOMENT, "served in full although the client had gone"),
    "connects": Column("connections", By.MOMENT, "connections that the generator opened"),
    "sent_bytes": Column("bytes", By.MOMENT, "written by the generator: heads and bodies, without TLS"),
    "received_bytes": Column("bytes", By.MOMENT, "read by the generator: heads and bodies, without TLS"),
    "users": Column("users", By.STATE, "connected users of a closed loop"),
    "under_way": Column("requests", By.STATE, "requests sent that have no outcome yet"),
    "lb_queue": Column("requests", By.STATE, "requests waiting in the balancer"),
    "accept_queue": Column("connections", By.STATE, "connections in the servers' accept queues, all pods"),
    "workers": Column("workers", By.STATE, "workers (prefork children, gunicorn workers), all pods"),
    "workers_busy": Column("workers", By.STATE, "workers that hold a request or a connection"),
    "pods": Column("pods", By.STATE, "pods that exist: pending, starting, running, terminating"),
    "pods_ready": Column("pods", By.STATE, "pods whose Ready condition is True"),
    "replicas_desired": Column("pods", By.STATE, "the Deployment's spec.replicas"),
    "nodes": Column("nodes", By.STATE, "nodes of the cluster, as `kubectl get nodes` lists them"),
    "nodes_ready": Column("nodes", By.STATE, "nodes whose Ready condition is True"),
    "nodes_stalled": Column("nodes", By.STATE, "nodes that stand still for want of memory, Ready or not"),
    "nodes_booting": Column("nodes", By.STATE, "machines requested that are not nodes yet"),
    "cpu_cores": Column("cores", By.MEAN, "CPU used by the service's pods", whole=False),
    "cpu_requested_cores": Column("cores", By.STATE, "CPU requests of the scheduled pods", whole=False),
    "pod_memory_max_mib": Column("MiB", By.STATE, "memory of the largest pod", whole=False),
    "pod_memory_mean_mib": Column("MiB", By.STATE, "memory of a running pod on average", whole=False),
    "node_memory_max_share": Column(
        "share", By.STATE, "memory in use on the fullest node, of its capacity", whole=False
    ),
    "oom_kills": Column("kills", By.MOMENT, "kills by the kernel for want of memory, containers and nodes"),
    "cost_per_hour": Column("currency/h", By.STATE, "what the fleet costs in an hour, as it is", whole=False),
}
"""Columns of the series, in the order in which they are written. A run lacks those it has no meaning for."""

REQUIRED = ("t", "sent", "answered", "failed", "timed_out", "refused", "shed", "attempts")
"""Columns that every run has."""

OUTCOMES = ("answered", "failed", "timed_out", "refused", "shed")
"""How a request can end; `sent` is their sum and what is still under way (invariant S1)."""

PARTS: dict[str, tuple[str, ...]] = {
    "failed": ("failed_5xx", "failed_reset", "failed_body", "failed_protocol"),
    "timed_out": ("timed_out_connect", "timed_out_read"),
}
"""Outcomes and the kinds that they fall into where a world tells them apart: the sum is the whole."""

FAILURES: dict[str, str] = {
    "refused": "connections were refused",
    "timed_out_connect": "connections were not made in time",
    "timed_out_read": "answers did not come in time",
    "failed_reset": "connections were reset or closed before an answer",
    "failed_5xx": "the server answered with a status of 500 or above",
    "failed_body": "answers lacked the expected body",
    "failed_protocol": "answers were not whole or not HTTP, or TLS failed",
    "shed": "the generator did not send: its cap on connections was reached",
}
"""Why a request was not answered, as finely as a wave tells: columns and totals, each as a sentence."""

HISTOGRAMS: dict[str, str] = {
    "lateness": "sent - when it could be sent at the earliest, of all requests sent: the generator's own lateness",
    "first_byte": "first byte of the answer - sent (the first try), of the answered requests",
    "service": "done - sent (the first try), of the answered requests",
}
"""Histograms that a record may hold beside that of the latencies, by the bin of the intended time."""

TOTALS: dict[str, str] = {
    "sent": "requests meant to be sent, those shed among them",
    "answered": "answered well and in time",
    "failed": "5xx, connection reset, wrong body",
    "timed_out": "given up by the client",
    "refused": "connection refused",
    "shed": "not sent because a cap of the generator was reached",
    "under_way": "without an outcome when the run ended",
    "answered_4xx": "of those answered: with a status of 400 to 499",
    "failed_5xx": "of those failed: a status of 500 or above",
    "failed_reset": "of those failed: reset or closed before an answer",
    "failed_body": "of those failed: without the body that was expected",
    "failed_protocol": "of those failed: not HTTP, cut short, or TLS failed",
    "timed_out_connect": "of those timed out: no connection in time",
    "timed_out_read": "of those timed out: no whole answer in time",
    "attempts": "tries, retries among them: sent - shed + retries",
    "retries": "tries after the first",
    "resent": "sent again on a new connection, because the server had closed a kept one; no try of its own",
    "redirected": "redirects that were followed within a request; no request and no try of its own",
    "connects": "connections that the generator opened",
    "sent_bytes": "written by the generator: heads and bodies, without TLS",
    "received_bytes": "read by the generator: heads and bodies, without TLS",
    "wasted": "served in full although the client had gone",
    "oom_kills": "kills by the kernel for want of memory",
    "restarts": "containers started again",
}
"""Whole numbers over the run. A request class has those of requests, the others where a world knows them."""

REQUEST_TOTALS = ("sent", *OUTCOMES, "under_way")
"""Totals that every run and every request class has."""

KINDS: dict[str, str] = {
    "oom-kill": "the kernel killed a process or a container for want of memory",
    "container-restart": "a container was started again",
    "crash-loop-back-off": "a container waits before its next start because the last ones failed",
    "node-stall": "a node's own memory ran out: its processes and its kubelet stand still",
    "node-not-ready": "a node's Ready condition left True",
    "node-ready": "a node's Ready condition became True",
    "node-requested": "the autoscaler asked the cloud for a machine",
    "node-added": "a machine registered as a node",
    "node-removed": "a node was taken away",
    "pod-created": "a pod came into being",
    "pod-unschedulable": "no node has room for a pod's requests",
    "pod-scheduled": "a pod was given a node",
    "pod-listening": "a pod's server listens",
    "pod-ready": "a pod's Ready condition became True",
    "pod-unready": "a pod's Ready condition left True",
    "pod-deleted": "a pod was taken away",
    "hpa-scale": "the HPA changed spec.replicas",
    "workers-at-limit": "a server has as many workers as it may, and all are busy",
    "accept-queue-overflow": "a full accept queue: the kernel drops connections",
    "no-server": "the balancer has no server for a request",
    "queue-timeout": "a request waited in the balancer longer than it may",
    "requests-fail": "requests begin to fail in a way in which none had failed before",
    "generator-late": "the generator sends later than it may for its figures to hold",
    "objective-lost": "an objective ceased to hold",
    "objective-regained": "an objective holds again",
    "wave-begins": "the described load begins to rise",
    "wave-ends": "the load has come to within 10 % of a plateau",
    "autoscaler": "a decision of the cluster autoscaler other than asking for or removing a node",
    "invariant-broken": "an invariant of the simulation or the measurement did not hold",
}
"""Kinds of events. Writing another one is an error: add it here, with its meaning."""
