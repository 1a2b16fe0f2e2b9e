"""A fleet is read: file, variant, manifests, pools, and what nobody gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.examples import DATA, autoscaler, deployment, fleet_data
from seawall.fleet.errors import InputError
from seawall.fleet.model import ApachePrefork, GunicornSync
from seawall.fleet.reader import complete, fleet_from_data, read_fleet, source_from_data, variants
from seawall.fleet.stories import load, stories
from seawall.fleet.units import MIB


@pytest.fixture(name="shop")
def _shop() -> object:
    return read_fleet(DATA / "shop" / "fleet.yaml")


def test_a_fleet_file_is_read_with_its_units(shop: object) -> None:
    fleet = complete(shop, "today")  # type: ignore[arg-type]
    service = fleet.file.service
    assert isinstance(service.server, ApachePrefork)
    assert service.server.keep_alive is True
    assert service.server.keep_alive_timeout == 5.0
    assert service.requests["page"].wait.mean == pytest.approx(0.030)
    assert service.requests["checkout"].memory.mean == 5 * MIB
    assert service.memory.base == 60 * MIB
    assert fleet.file.platform.balancer.kind == "haproxy"
    assert fleet.file.platform.balancer.timeout_queue == 5.0
    assert fleet.file.traffic.users is not None
    assert fleet.file.traffic.users.pace == 5.0
    assert fleet.file.objectives.latency == {"p99": 0.8}
    assert fleet.variant == "today"
    assert fleet.folder == DATA / "shop"


def test_manifests_of_a_folder_are_read_and_the_unknown_named(shop: object) -> None:
    fleet = complete(shop, "today")  # type: ignore[arg-type]
    assert fleet.deployment.name == "shop"
    assert fleet.hpa is not None
    assert (fleet.hpa.min_replicas, fleet.hpa.max_replicas) == (2, 12)
    assert fleet.pdb is not None
    assert fleet.pdb.max_unavailable == "1"
    assert fleet.ignored == ("ConfigMap/shop",)
    assert "ConfigMap/shop" in [manifest.key for manifest in fleet.manifests]
    assert fleet.warnings == ()


def test_a_variant_changes_the_file_and_the_manifests(shop: object) -> None:
    names = variants(shop)  # type: ignore[arg-type]
    today, limited, larger = (complete(shop, name) for name in names)  # type: ignore[arg-type]
    assert names == ["today", "limited", "larger"]
    assert [f.deployment.memory_limit for f in (today, limited, larger)] == [None, 700 * MIB, None]
    assert [f.deployment.memory_request for f in (today, limited)] == [600 * MIB] * 2
    assert isinstance(larger.file.service.server, ApachePrefork)
    assert (larger.file.service.server.max_request_workers, larger.pools[0].instance.name) == (10, "t3.large")
    assert larger.pools[0].spec.max == 6
    assert larger.file.service.server.start_servers == 2


def test_no_variant_is_the_file_as_it_stands(shop: object) -> None:
    fleet = complete(shop)  # type: ignore[arg-type]
    assert fleet.variant == "default"
    assert fleet.pools[0].instance.name == "t3.medium"


def test_a_file_without_variants_has_one() -> None:
    source = source_from_data(fleet_data())
    assert variants(source) == ["default"]
    assert complete(source, "default").file == complete(source).file


def test_a_variant_may_be_called_default_and_patch() -> None:
    data = fleet_data()
    data["variants"] = {"default": {"service": {"server": {"MaxRequestWorkers": 7}}}}
    server = fleet_from_data(data, "default").file.service.server
    assert isinstance(server, ApachePrefork)
    assert server.max_request_workers == 7


def test_null_in_a_variant_brings_the_default_back() -> None:
    data = fleet_data()
    data["variants"] = {"untuned": {"service": {"server": {"MaxRequestWorkers": None}}}}
    server = fleet_from_data(data, "untuned").file.service.server
    assert isinstance(server, ApachePrefork)
    assert server.max_request_workers == 256


def test_a_variant_can_take_a_manifest_out() -> None:
    data = fleet_data(deployment(), autoscaler())
    data["variants"] = {"fixed": {"manifests": {"HorizontalPodAutoscaler/web": None}}, "scaled": {}}
    assert fleet_from_data(data, "fixed").hpa is None
    assert fleet_from_data(data, "scaled").hpa is not None


def test_a_variant_can_change_the_kind_of_server() -> None:
    data = fleet_data()
    data["variants"] = {
        "gunicorn": {
            "service": {"server": {"kind": "gunicorn-sync", "workers": 3, "MaxRequestWorkers": None}},
        }
    }
    server = fleet_from_data(data, "gunicorn").file.service.server
    assert isinstance(server, GunicornSync)
    assert server.workers == 3


def test_reading_changes_nothing_in_the_data() -> None:
    data = fleet_data()
    before = repr(data)
    fleet_from_data(data)
    assert repr(data) == before


def test_one_deployment_of_several_is_chosen_by_name() -> None:
    data = fleet_data(deployment("web"), deployment("worker"), autoscaler("worker", "worker"))
    data["platform"]["deployment"] = "worker"
    fleet = fleet_from_data(data)
    assert fleet.deployment.name == "worker"
    assert fleet.hpa is not None
    assert fleet.ignored == ("Deployment/web",)


def test_facts_that_nobody_gave_are_listed_by_path() -> None:
    data = fleet_data()
    given = fleet_from_data(data).defaults
    assert "service.requests.page.wait" in given
    assert "service.requests.page.cpu" not in given
    assert "service.memory.base" in given
    assert "platform.nodePools.nodes.bootTime" in given
    assert "platform.nodePools.nodes.whenMemoryRunsOut.stall" in given
    data["service"]["memory"] = {"base": "10Mi"}
    data["platform"]["imagePull"] = "5s"
    now = fleet_from_data(data).defaults
    assert set(given) - set(now) == {"service.memory.base", "platform.imagePull"}


def test_a_default_written_out_counts_as_given() -> None:
    data = fleet_data()
    data["service"]["memory"] = {"base": "40Mi"}
    assert "service.memory.base" not in fleet_from_data(data).defaults


@pytest.mark.parametrize(
    "path",
    [
        "service.requests.page.cpu",
        "platform.nodePools.nodes.min",
        "platform.nodePools[0].min",
        "service.kernel.net.core.somaxconn",
        "service.server.MaxRequestWorkers",
        "Deployment/web.spec.template.spec.containers.web.resources.requests.cpu",
        "traffic.users",
        "service.memory.growth",
    ],
)
def test_an_assumption_names_a_value_of_the_file_a_variant_or_a_manifest(path: str) -> None:
    data = fleet_data()
    data["service"]["kernel"] = {"net.core.somaxconn": 128}
    data["assumptions"] = {path: "a guess"}
    data["variants"] = {"grown": {"service": {"memory": {"growth": "5Mi"}}}}
    assert fleet_from_data(data).assumptions == {path: "a guess"}


@pytest.mark.parametrize(
    "path", ["service.requests.page.wait", "service.start.cpu", "nowhere", "service.", ""]
)
def test_an_assumption_about_nothing_is_refused(path: str) -> None:
    data = fleet_data()
    data["assumptions"] = {path: "a guess"}
    with pytest.raises(InputError, match="nothing has this path"):
        fleet_from_data(data)


def test_other_rooms_can_point_at_a_line(shop: object) -> None:
    error = complete(shop).error_at(("traffic", "users", "count"), "no wave")  # type: ignore[arg-type]
    lines = (DATA / "shop" / "fleet.yaml").read_text().splitlines()
    assert error.line is not None
    assert lines[error.line - 1].strip().startswith("count:")
    assert "traffic.users.count: no wave" in str(error)


def test_bundled_stories_are_found_by_name_and_others_by_path() -> None:
    assert load(DATA / "shop" / "fleet.yaml").data["name"] == "shop"
    for name in stories():
        source = load(name)
        for variant in variants(source):
            assert complete(source, variant).file.name
    with pytest.raises(InputError, match="no story"):
        load("no-such-story")


def test_manifests_are_read_once_for_all_variants(tmp_path: Path) -> None:
    for part in (DATA / "shop").rglob("*.yaml"):
        target = tmp_path / part.relative_to(DATA / "shop")
        target.parent.mkdir(exist_ok=True)
        target.write_text(part.read_text())
    source = read_fleet(tmp_path / "fleet.yaml")
    first = complete(source, "today")
    for part in (tmp_path / "k8s").glob("*.yaml"):
        part.unlink()
    assert complete(source, "larger").deployment == first.deployment
