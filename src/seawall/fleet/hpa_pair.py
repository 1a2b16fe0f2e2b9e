"""Finds, among manifests, a HorizontalPodAutoscaler and the Deployment that it scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seawall.fleet.checks import refuse_blind_hpa
from seawall.fleet.errors import InputError
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.kubernetes import Deployment, Manifest, manifests_of, read_deployment, read_hpa
from seawall.fleet.yamlfile import load_documents

HPA, DEPLOYMENT = "HorizontalPodAutoscaler", "Deployment"


def read_hpa_pair(files: Sequence[Path], name: str | None = None) -> tuple[Deployment, HpaSpec]:
    """The Deployment and the autoscaler (the one called `name`, if given) in these files, read and checked.

    The files may hold several documents and other objects; one may be given twice. InputError if there is not
    exactly one pair, or if the autoscaler could never act on a metric.
    """
    documents = [document for file in dict.fromkeys(files) for document in load_documents(file)]
    manifests, _ = manifests_of(documents)
    where = ", ".join(str(file) for file in dict.fromkeys(files))
    scalers = [m for m in manifests if m.kind == HPA and name in (None, m.name)]
    deployments = [m for m in manifests if m.kind == DEPLOYMENT]
    for kind, found in ((HPA, scalers), (DEPLOYMENT, deployments)):
        if not found:
            called = f" called {name}" if kind == HPA and name else ""
            there = ", ".join(m.key for m in manifests) or "no Kubernetes object"
            raise InputError(f"there is no {kind}{called}; there is {there}", file=where)
    pairs = [(s, d) for s in scalers for d in deployments if _scales(s, d)]
    if not pairs:
        raise _unmatched(scalers[0], deployments)
    if len(pairs) > 1:
        known = ", ".join(scaler.name for scaler, _ in pairs)
        raise InputError(f"there are several autoscalers ({known}); name one with --name", file=where)
    scaler, target = pairs[0]
    deployment, spec = read_deployment(target), read_hpa(scaler)
    refuse_blind_hpa(deployment, spec, scaler)
    return deployment, spec


def _scales(scaler: Manifest, deployment: Manifest) -> bool:
    kind, name = (scaler.get("spec", "scaleTargetRef", key) for key in ("kind", "name"))
    places = [m.get("metadata", "namespace", default="default") for m in (scaler, deployment)]
    return (kind, name) == (DEPLOYMENT, deployment.name) and places[0] == places[1]


def _unmatched(scaler: Manifest, deployments: Sequence[Manifest]) -> InputError:
    kind, name = (scaler.get("spec", "scaleTargetRef", key, default="?") for key in ("kind", "name"))
    there = ", ".join(d.key for d in deployments)
    path = ("spec", "scaleTargetRef", "name")
    if kind == DEPLOYMENT and any(d.name == name for d in deployments):
        return scaler.error(
            f"its Deployment {name} is in another namespace; Kubernetes looks in the autoscaler's own: write "
            "the same metadata.namespace in both",
            *path,
        )
    return scaler.error(
        f"scaleTargetRef names {kind}/{name}, and there is {there}: Kubernetes would report FailedGetScale "
        "and do nothing; name the Deployment here, or give its manifest",
        *path,
    )
