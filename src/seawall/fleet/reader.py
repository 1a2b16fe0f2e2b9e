"""Reads a fleet: the file, one variant applied, the user's manifests, the pools; problems by line."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from seawall.fleet import problems
from seawall.fleet.checks import check, refuse_contradictions
from seawall.fleet.errors import InputError
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.kubernetes import Deployment, DisruptionBudget, Manifest
from seawall.fleet.manifests import (
    choose_deployment,
    choose_hpa,
    choose_pdb,
    patch_manifests,
    read_manifests,
    unreached,
)
from seawall.fleet.merge import Placed, merge
from seawall.fleet.model import FleetFile
from seawall.fleet.pools import Pool, complete_pool
from seawall.fleet.settle import Warning, settle
from seawall.fleet.yamlfile import Document, Place, Steps, load_documents

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class FleetSource:
    """A fleet file as read: its data, where each value stands, and the folder its paths start from."""

    file: str
    folder: Path
    data: dict[str, Any] = field(repr=False)
    place: Place = field(repr=False)
    read: dict[Path, list[Document]] = field(default_factory=dict, compare=False, repr=False)
    """Manifest files that were read already, so that each variant need not read them again."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet, complete: one variant applied, manifests read, pools filled in from the catalogue."""

    file: FleetFile
    variant: str
    deployment: Deployment
    hpa: HpaSpec | None
    pdb: DisruptionBudget | None
    pools: tuple[Pool, ...]
    warnings: tuple[Warning, ...]
    ignored: tuple[str, ...]
    """Manifests that are kept but play no part, by Kind/name."""
    defaults: tuple[str, ...]
    """Facts of the service that nobody gave, by their path in the file: defaults stand in for them."""
    assumptions: dict[str, str]
    """Values that nobody measured: their path, and why they are what they are."""
    place: Place = field(repr=False)
    """Where each value of the file stands."""
    folder: Path
    """The folder from which the file's paths start."""
    manifests: tuple[Manifest, ...] = field(default=(), repr=False)
    """All manifests, those that play no part too, as patched by the variant."""

    def error_at(self, path: Steps, message: str) -> InputError:
        """An InputError about the value at `path` of the fleet file, with its file and line."""
        where = self.place.find(path)
        return InputError(f"{problems.path_text(path)}: {message}", file=where.file, line=where.line)


def read_fleet(path: str | Path) -> FleetSource:
    """Read a fleet file. InputError where it is no YAML, or not one mapping."""
    path = Path(path)
    return _only(load_documents(path), str(path), path.parent)


def _only(documents: list[Document], name: str, folder: Path) -> FleetSource:
    if not documents:
        raise InputError("is empty; write a fleet, or start with `seawall init`", file=name)
    if len(documents) > 1:
        message = "holds several documents; a fleet is one (manifests go under platform.manifests)"
        raise InputError(message, file=name, line=documents[1].lines.line)
    return _source(documents[0], folder)


def _source(document: Document, folder: Path) -> FleetSource:
    data, place = document.data, document.lines
    if not isinstance(data, dict):
        raise InputError("a fleet is a mapping (`key: value` lines)", file=place.file, line=place.line)
    if "kind" in data and "apiVersion" in data:
        message = f"is a Kubernetes manifest ({data['kind']}); make a fleet of it with `seawall init`"
        raise InputError(message, file=place.file, line=place.line)
    variants = data.get("variants")
    if variants is not None and not isinstance(variants, dict):
        where = place.find(("variants",))
        raise InputError("variants: give a mapping of names", file=where.file, line=where.line)
    for name, patch in (variants or {}).items():
        if patch is not None and not isinstance(patch, dict):
            where = place.find(("variants", name))
            raise InputError(
                f"variants.{name}: give the changes as a mapping", file=where.file, line=where.line
            )
    return FleetSource(document.file, folder, data, place)


def variants(source: FleetSource) -> list[str]:
    """The names of the file's variants in its order; `default` alone where it has none."""
    return list(source.data.get("variants") or {}) or [DEFAULT]


def fleet_from_data(data: dict[str, Any], variant: str | None = None) -> Fleet:
    """A fleet from plain data as a fleet file would hold it, manifests inline. For tests and other rooms."""
    return complete(source_from_data(data), variant)


def source_from_text(text: str, name: str, folder: Path) -> FleetSource:
    """A source from the text of a fleet file, called `name` in errors; its paths start from `folder`."""
    return _only(load_documents(text, name), name, folder)


def source_from_data(data: dict[str, Any], folder: Path | None = None) -> FleetSource:
    """A source from plain data; problems are reported by path, with line 1 of `<data>`."""
    return _source(Document(copy.deepcopy(data), Place("<data>", 1), "<data>"), folder or Path())


def complete(source: FleetSource, variant: str | None = None) -> Fleet:
    """The fleet with `variant` applied (None: the file as it stands). InputError lists everything wrong."""
    (data, place), manifest_patches = _apply_variant(source, variant)
    file = _validate(data, place)
    refuse_contradictions(file, place)
    manifests, strangers = read_manifests(file, place, source.folder, source.read)
    manifests = patch_manifests(manifests, manifest_patches)
    deployment = choose_deployment(manifests, file, place)
    hpa, hpa_manifest = choose_hpa(manifests, deployment)
    pdb = choose_pdb(manifests, deployment)
    pools = _complete_pools(file, place)
    file, settled = settle(file, place, deployment)
    warnings = check(file, place, deployment, hpa, hpa_manifest, pools)
    used = {id(m) for m in (deployment.manifest, hpa_manifest, pdb.manifest if pdb else None) if m}
    ignored = [m.key for m in manifests if id(m) not in used and m.kind not in ("Service", "Ingress")]
    return Fleet(
        file=file,
        variant=variant or DEFAULT,
        deployment=deployment,
        hpa=hpa,
        pdb=pdb,
        pools=pools,
        warnings=(*settled, *warnings, *unreached(manifests, deployment)),
        ignored=(*ignored, *strangers),
        defaults=tuple(_ungiven(file, "")),
        assumptions=_assumptions(source, file, place, data, manifests),
        place=place,
        folder=source.folder,
        manifests=tuple(manifests),
    )


def _apply_variant(source: FleetSource, variant: str | None) -> tuple[Placed, Placed | None]:
    """The file's data with the variant laid over it, and the variant's patches on manifests."""
    whole: Placed = (source.data, source.place)
    given = source.data.get("variants") or {}
    if variant is None or (variant == DEFAULT and not given):
        return merge(whole, ({}, source.place)), None
    if variant not in given:
        where = source.place.find(("variants",))
        raise InputError(
            f"there is no variant {variant!r}; {problems.nearest(variant, given or [DEFAULT])}",
            file=where.file,
            line=where.line,
        )
    patch = dict(given[variant] or {})
    place = source.place.find(("variants", variant))
    manifests = patch.pop("manifests", None)
    if "variants" in patch:
        where = place.find(("variants",))
        raise InputError("a variant cannot hold variants", file=where.file, line=where.line)
    return merge(whole, (patch, place)), (manifests, place.find(("manifests",))) if manifests else None


def _validate(data: dict[str, Any], place: Place) -> FleetFile:
    try:
        return FleetFile.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise problems.input_error(error, FleetFile, data, place) from None


def _complete_pools(file: FleetFile, place: Place) -> tuple[Pool, ...]:
    pools = []
    for i, spec in enumerate(file.platform.node_pools):
        path: Steps = ("platform", "nodePools", i)
        try:
            pools.append(complete_pool(spec))
        except InputError as error:
            where = place.find((*path, "instanceType"))
            message = f"{problems.path_text(path)}: {error.message}"
            raise InputError(message, file=where.file, line=where.line) from None
    return tuple(pools)


def _ungiven(part: BaseModel, path: str) -> list[str]:
    """Paths of the facts to be measured (`measured` in the model) that the file does not give."""
    found = []
    for name, info in type(part).model_fields.items():
        below = f"{path}.{info.alias or name}" if path else info.alias or name
        marks = info.json_schema_extra
        if isinstance(marks, dict) and marks.get("measure") and name not in part.model_fields_set:
            found.append(below)
        for key, value in _parts_of(getattr(part, name)):
            found += _ungiven(value, f"{below}.{key}" if key else below)
    return found


def _parts_of(value: Any) -> list[tuple[str, BaseModel]]:
    """The parts in a field's value: itself, or those of a mapping or list with their key or name."""
    if isinstance(value, BaseModel):
        return [("", value)]
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items() if isinstance(item, BaseModel)]
    items = value if isinstance(value, list) else []
    return [
        (str(getattr(item, "name", i)), item) for i, item in enumerate(items) if isinstance(item, BaseModel)
    ]


def _assumptions(
    source: FleetSource, file: FleetFile, place: Place, data: dict[str, Any], manifests: list[Manifest]
) -> dict[str, str]:
    """The file's assumptions, each of whose paths must exist: here, in a variant, or in a manifest."""
    named = {manifest.key: manifest.data for manifest in manifests}
    patches = list((source.data.get("variants") or {}).values())
    for path in file.assumptions:
        if not any(_exists(where, path) for where in (data, source.data, named, *patches)):
            where = place.find(("assumptions", path))
            message = f"assumptions.{path}: nothing has this path; write the value there, or take it out"
            raise InputError(message, file=where.file, line=where.line)
    return dict(file.assumptions)


def _exists(data: Any, path: str) -> bool:
    """Whether a dotted path leads to a value; a key may hold dots, a list item is named or `[n]`."""
    if isinstance(data, list):
        steps = {f"[{i}]": item for i, item in enumerate(data)}
        steps |= {item["name"]: item for item in data if isinstance(item, dict) and _is_named(item)}
    elif isinstance(data, dict):
        steps = data
    else:
        return False
    for key, value in steps.items():
        rest = path.removeprefix(key)
        if rest == path or not key:
            continue
        if rest == "" or (rest[0] in ".[" and _exists(value, rest.removeprefix("."))):
            return True
    return False


def _is_named(item: dict[str, Any]) -> bool:
    return isinstance(item.get("name"), str)
