"""A first fleet file from existing manifests: commented, with what is known filled in and the rest marked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from seawall.fleet.checks import refuse_blind_hpa
from seawall.fleet.errors import InputError
from seawall.fleet.guess import environment, guess_pool, guess_server
from seawall.fleet.initial_text import READ, Found, compose, inline, scalar
from seawall.fleet.kubernetes import Manifest, manifests_of, read_deployment, read_ingress, read_service
from seawall.fleet.manifests import choose_hpa, choose_pdb, hpa_target, manifest_files, no_deployment, selects
from seawall.fleet.reader import complete, source_from_text
from seawall.fleet.yamlfile import Document, Place, exists, load_documents


def initial_fleet(paths: Sequence[Path], folder: Path) -> str:
    """The text of a fleet file for the manifests in files and folders, to be put into `folder`.

    InputError where they hold no Deployment or contradict each other.
    """
    if not paths:
        raise InputError("give files or folders of manifests, or - for standard input")
    documents = [d for path in paths for file in _files(path) for d in load_documents(file)]
    where = Place(str(paths[0]), 1)
    found = _find(documents, where)
    listed = [f"    - {scalar(os.path.relpath(path, folder))}" for path in paths]
    return _checked(compose(found, "\n".join(listed)), folder)


def initial_fleet_from_text(text: str, name: str = "<stdin>") -> str:
    """The same from one text, such as what `kubectl get -o yaml` prints; the file holds its manifests."""
    documents = load_documents(text, name)
    found = _find(documents, Place(name, 1))
    listed = [inline(m) for m in manifests_of(documents)[0] if m.kind in READ]
    return _checked(compose(found, "\n".join(listed)), Path())


def _files(path: Path) -> list[Path]:
    if not exists(path):
        raise InputError("there is no such file or folder", file=path)
    return manifest_files(path)


def _checked(text: str, folder: Path) -> str:
    """The text, once it has been read as a fleet: what is handed out can be used at once."""
    complete(source_from_text(text, "<the new fleet file>", folder))
    return text


def _find(documents: list[Document], where: Place) -> Found:
    manifests, strangers = manifests_of(documents)
    deployments = [m for m in manifests if m.kind == "Deployment"]
    if not deployments:
        raise no_deployment(manifests, where)
    deployment = read_deployment(_chosen(deployments, manifests))
    hpa, hpa_manifest = choose_hpa(manifests, deployment)
    if hpa is not None and hpa_manifest is not None:
        refuse_blind_hpa(deployment, hpa, hpa_manifest)
    pdb = choose_pdb(manifests, deployment)
    services = [read_service(m) for m in manifests if m.kind == "Service"]
    own = [s.name for s in services if s.selector and selects(dict(s.selector), deployment)]
    ingresses = [read_ingress(m) for m in manifests if m.kind == "Ingress"]
    env = environment(deployment, manifests)
    least = hpa.min_replicas if hpa else deployment.replicas
    most = hpa.max_replicas if hpa else 2 * deployment.replicas
    return Found(
        deployment=deployment,
        others=[m.name for m in deployments if m is not deployment.manifest],
        ignored=[*(m.key for m in manifests if m.kind not in READ), *strangers],
        hpa=hpa,
        hpa_name=hpa_manifest.key if hpa_manifest else "",
        pdb_name=pdb.name if pdb else "",
        ingress=next((i for i in ingresses if set(i.services) & set(own)), None),
        has_service=bool(own),
        server=guess_server(deployment.main, env),
        pool=guess_pool(deployment, max(1, least), max(1, most)),
    )


def _chosen(deployments: list[Manifest], manifests: list[Manifest]) -> Manifest:
    """Of several Deployments: one that an autoscaler scales, else one behind an Ingress, else the first."""
    scaled = {hpa_target(m) for m in manifests if m.kind == "HorizontalPodAutoscaler"}
    for deployment in deployments:
        if ("Deployment", deployment.name) in scaled:
            return deployment
    routed = {name for m in manifests if m.kind == "Ingress" for name in read_ingress(m).services}
    selectors = [m.mapping("spec", "selector") for m in manifests if m.kind == "Service" and m.name in routed]
    for deployment in deployments:
        labels = deployment.mapping("spec", "template", "metadata", "labels")
        if any(s and all(labels.get(k) == v for k, v in s.items()) for s in selectors):
            return deployment
    return deployments[0]
