"""The manifests of a fleet: read from files and folders, patched by a variant, those that matter chosen."""

from __future__ import annotations

from pathlib import Path

from seawall.fleet.errors import InputError
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.kubernetes import (
    Deployment,
    DisruptionBudget,
    Manifest,
    manifests_of,
    read_deployment,
    read_disruption_budget,
    read_hpa,
)
from seawall.fleet.merge import Placed, merge
from seawall.fleet.model import FleetFile
from seawall.fleet.problems import nearest
from seawall.fleet.settle import Warning, warning
from seawall.fleet.yamlfile import Document, Place, exists, load_documents

_SUFFIXES = (".yaml", ".yml", ".json")
_MOST_FILES = 2000
_WORKLOADS = (
    "StatefulSet",
    "DaemonSet",
    "Rollout",
    "ReplicaSet",
    "Pod",
    "Job",
    "CronJob",
    "DeploymentConfig",
)


def read_manifests(
    file: FleetFile, place: Place, folder: Path, read: dict[Path, list[Document]]
) -> tuple[list[Manifest], list[str]]:
    """The manifests that `platform.manifests` gives, and by name what is none.

    Paths start from `folder`; `read` remembers the files that were read already.
    """
    manifests: list[Manifest] = []
    strangers: list[str] = []
    for i, given in enumerate(file.platform.manifests):
        where = place.find(("platform", "manifests", i))
        if isinstance(given, dict):
            found, strange = manifests_of([Document(given, where, where.file)])
            if strange:
                message = f"platform.manifests[{i}]: has no kind; give a Kubernetes manifest"
                raise InputError(message, file=where.file, line=where.line)
        else:
            found, strange = _read_manifest_path(folder / given, where, read)
        manifests += found
        strangers += strange
    return manifests, strangers


def _read_manifest_path(
    path: Path, where: Place, read: dict[Path, list[Document]]
) -> tuple[list[Manifest], list[str]]:
    if not exists(path):
        message = f"platform.manifests: there is no {path}; paths start from the folder of the fleet file"
        raise InputError(message, file=where.file, line=where.line)
    if path not in read:
        read[path] = [d for file in manifest_files(path) for d in load_documents(file)]
    found, strangers = manifests_of(read[path])
    if not found:
        raise InputError("holds no Kubernetes manifest; give files of kind Deployment and so on", file=path)
    return found, strangers


def manifest_files(path: Path) -> list[Path]:
    """`path` itself, or every YAML and JSON file below a folder, sorted; hidden ones are left out."""
    if not path.is_dir():
        return [path]
    files = []
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in _SUFFIXES and not hidden and file.is_file():
            files.append(file)
        if len(files) > _MOST_FILES:
            raise InputError(f"holds more than {_MOST_FILES} files; name the service's own folder", file=path)
    return files


def patch_manifests(manifests: list[Manifest], patches: Placed | None) -> list[Manifest]:
    """The manifests with a variant's patches (by Kind/name; null takes a manifest out) laid over them."""
    if patches is None:
        return manifests
    data, place = patches
    if not isinstance(data, dict):
        raise InputError("manifests: give a mapping of Kind/name", file=place.file, line=place.line)
    known = {manifest.key for manifest in manifests}
    for key in data:
        if key not in known:
            where = place.find((key,))
            message = f"manifests.{key}: no such manifest; {nearest(key, sorted(known))}"
            raise InputError(message, file=where.file, line=where.line)
    patched = []
    for old in manifests:
        if old.key not in data:
            patched.append(old)
        elif data[old.key] is not None:
            new, where = merge((old.data, old.place), (data[old.key], place.find((old.key,))))
            patched.append(Manifest(old.kind, old.name, old.api_version, new, where))
    return patched


def choose_deployment(manifests: list[Manifest], file: FleetFile, place: Place) -> Deployment:
    """The Deployment that the fleet is about: the only one, or the one that `platform.deployment` names."""
    deployments = [m for m in manifests if m.kind == "Deployment"]
    wanted = file.platform.deployment
    if not deployments:
        raise no_deployment(manifests, place.find(("platform", "manifests")))
    names = sorted({m.name for m in deployments})
    if wanted is None and len(names) > 1:
        where = place.find(("platform", "manifests"))
        message = (
            f"platform: there are several Deployments; write `deployment:` and one of {', '.join(names)}"
        )
        raise InputError(message, file=where.file, line=where.line)
    if wanted is not None and wanted not in names:
        where = place.find(("platform", "deployment"))
        message = f"platform.deployment: there is no Deployment `{wanted}`; {nearest(wanted, names)}"
        raise InputError(message, file=where.file, line=where.line)
    chosen = [m for m in deployments if wanted in (None, m.name)]
    if len(chosen) > 1:
        first = f"{chosen[0].place.file}:{chosen[0].place.line}"
        raise chosen[1].error(f"is there twice (first in {first}); give the manifests of one namespace")
    return read_deployment(chosen[0])


def no_deployment(manifests: list[Manifest], where: Place) -> InputError:
    """Says that there is no Deployment, and what there is in its place."""
    others = [m.key for m in manifests if m.kind in _WORKLOADS]
    there = f" ({', '.join(others)}: only a Deployment is supported)" if others else ""
    return InputError(
        f"there is no Deployment among the manifests{there}; give its file or folder, or the manifest itself",
        file=where.file,
        line=where.line,
    )


def choose_hpa(manifests: list[Manifest], deployment: Deployment) -> tuple[HpaSpec | None, Manifest | None]:
    """The HorizontalPodAutoscaler of the Deployment, read, with its manifest; None where there is none.

    InputError where one asks for a Deployment that is not there, if the Deployment has none of its own.
    """
    hpas = [m for m in manifests if m.kind == "HorizontalPodAutoscaler"]
    own = [m for m in hpas if hpa_target(m) == ("Deployment", deployment.name)]
    if len(own) > 1:
        raise own[1].error(f"{own[0].key} scales Deployment/{deployment.name} already; keep one of them")
    if own:
        return read_hpa(own[0]), own[0]
    known = [m.name for m in manifests if m.kind == "Deployment"]
    for hpa in hpas:
        kind, target = hpa_target(hpa)
        if kind == "Deployment" and target not in known:
            raise hpa.error(
                f"scales Deployment/{target}, which is not among the manifests: Kubernetes would report "
                f"FailedGetScale and do nothing; {nearest(target, known)}",
                *("spec", "scaleTargetRef", "name"),
            )
    return None, None


def hpa_target(hpa: Manifest) -> tuple[str, str]:
    """(kind, name) of what an autoscaler scales."""
    kind = hpa.get("spec", "scaleTargetRef", "kind", default="Deployment")
    return str(kind), str(hpa.get("spec", "scaleTargetRef", "name", default=""))


def choose_pdb(manifests: list[Manifest], deployment: Deployment) -> DisruptionBudget | None:
    """The PodDisruptionBudget whose selector matches the Deployment's pods."""
    for manifest in manifests:
        if manifest.kind == "PodDisruptionBudget":
            wanted = manifest.mapping("spec", "selector", "matchLabels")
            if wanted and selects(wanted, deployment):
                return read_disruption_budget(manifest)
    return None


def unreached(manifests: list[Manifest], deployment: Deployment) -> tuple[Warning, ...]:
    """A warning where there are Services and none of them selects the Deployment's pods."""
    services = [m for m in manifests if m.kind == "Service" and m.mapping("spec", "selector")]
    if not services or any(selects(m.mapping("spec", "selector"), deployment) for m in services):
        return ()
    names = ", ".join(m.key for m in services)
    text = f"no Service selects the pods of {deployment.manifest.key} ({names}): nothing would reach them"
    return (warning(services[0].place, ("spec", "selector"), text),)


def selects(labels: dict[str, object], deployment: Deployment) -> bool:
    """Whether a selector of plain labels matches the Deployment's pods."""
    own = dict(deployment.labels)
    return all(own.get(key) == str(value) for key, value in labels.items())
