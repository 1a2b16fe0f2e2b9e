"""The bundled stories: fleets of teams that met a wave, each a folder with a fleet file and its manifests."""

from __future__ import annotations

from pathlib import Path

from seawall.fleet.errors import InputError
from seawall.fleet.problems import nearest
from seawall.fleet.reader import FleetSource, read_fleet
from seawall.fleet.yamlfile import exists

FLEET_FILE = "fleet.yaml"
_FOLDER = Path(__file__).parent / "stories"


def stories() -> list[str]:
    """The names of the bundled stories, sorted."""
    return sorted(path.parent.name for path in _FOLDER.glob(f"*/{FLEET_FILE}"))


def load(name_or_path: str | Path) -> FleetSource:
    """A bundled story by its name, else the fleet file at a path. InputError where there is neither."""
    name = str(name_or_path)
    if name in stories():
        return read_fleet(_FOLDER / name / FLEET_FILE)
    path = Path(name_or_path)
    if not exists(path) and path.name == name and not path.suffix:
        raise InputError(f"there is no file and no story `{name}`; {nearest(name, stories())}")
    return read_fleet(path)
