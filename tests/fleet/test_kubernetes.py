"""Manifests are read as the API server would complete them; Kubernetes' own schema accepts our examples."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from fleet.examples import DATA, deployment, fleet_data
from seawall.fleet.kubernetes import (
    Deployment,
    Manifest,
    Probe,
    manifests_of,
    read_deployment,
    read_ingress,
    read_service,
)
from seawall.fleet.reader import complete, fleet_from_data, variants
from seawall.fleet.stories import load, stories
from seawall.fleet.units import MIB
from seawall.fleet.yamlfile import Document, Place, load_documents


def manifests(path: str) -> dict[str, Manifest]:
    found, strangers = manifests_of(load_documents(DATA / path))
    assert strangers == []
    return {manifest.key: manifest for manifest in found}


def read(data: dict[str, Any]) -> Deployment:
    (manifest,), _ = manifests_of([Document(data, Place("x", 1), "x")])
    return read_deployment(manifest)


def pod(**spec: Any) -> Deployment:
    data = deployment()
    data["spec"]["template"]["spec"].update(spec)
    return read(data)


@pytest.mark.parametrize("path", sorted(str(p.relative_to(DATA)) for p in DATA.glob("*/k8s/*.yaml")))
def test_the_examples_are_manifests_that_kubernetes_takes(path: str) -> None:
    for document in load_documents(DATA / path):
        kubernetes_validate.validate(document.data, "1.36", strict=True)


@pytest.mark.parametrize("path", ["other/helm.yaml", "other/cluster.yaml"])
def test_the_output_of_tools_is_what_kubernetes_takes(path: str) -> None:
    for manifest in manifests(path).values():
        kubernetes_validate.validate(manifest.data, "1.36", strict=False)


@pytest.mark.parametrize("name", stories())
def test_the_stories_manifests_are_what_kubernetes_takes(name: str) -> None:
    source = load(name)
    for variant in variants(source):
        for manifest in complete(source, variant).manifests:
            kubernetes_validate.validate(manifest.data, "1.36", strict=True)


def test_a_deployment_is_read_with_kubernetes_defaults() -> None:
    shop = read_deployment(manifests("shop/k8s/deployment.yaml")["Deployment/shop"])
    assert (shop.replicas, shop.namespace, shop.termination_grace_s) == (2, "default", 45.0)
    assert (shop.strategy, shop.max_surge, shop.max_unavailable) == ("RollingUpdate", "25%", "25%")
    assert (shop.cpu_request, shop.cpu_limit) == (0.5, None)
    assert (shop.memory_request, shop.memory_limit) == (600 * MIB, None)
    assert shop.readiness == Probe("httpGet", "/health", "http", timeout_s=2.0)
    assert (shop.readiness.period_s, shop.readiness.failure_threshold) == (10.0, 3)
    assert shop.main.liveness == Probe("tcpSocket", "/", "80", initial_delay_s=20.0)
    assert shop.main.startup is None
    assert shop.sysctls == (("net.core.somaxconn", "16384"),)
    assert dict(shop.labels) == {"app": "shop", "tier": "web"}
    assert shop.node_selector == (("pool", "web"),)
    assert shop.tolerations == ({"key": "web", "operator": "Exists", "effect": "NoSchedule"},)
    assert shop.priority_class == "web"


def test_nothing_written_is_one_replica_and_thirty_seconds() -> None:
    data = deployment()
    del data["spec"]["replicas"]
    plain = read(data)
    assert (plain.replicas, plain.replicas_given, plain.termination_grace_s) == (1, False, 30.0)


def test_a_request_that_is_not_written_is_the_limit() -> None:
    limits = {"limits": {"cpu": "1", "memory": "1Gi"}}
    one = pod(containers=[{"name": "web", "resources": limits}]).main
    assert (one.cpu_request, one.memory_request) == (1.0, 1024 * MIB)
    part = pod(containers=[{"name": "web", "resources": {**limits, "requests": {"cpu": "250m"}}}]).main
    assert (part.cpu_request, part.memory_request) == (0.25, 1024 * MIB)
    none = pod(containers=[{"name": "web"}])
    assert (none.main.cpu_request, none.cpu_request, none.pod_cpu_request) == (None, 0.0, 0.0)


def _resources(cpu: str, memory: str = "0") -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}}


def test_a_pod_asks_for_all_its_containers() -> None:
    two = [{"name": "a", "resources": _resources("1")}, {"name": "b", "resources": _resources("500m")}]
    assert pod(containers=two).pod_cpu_request == 1.5
    assert pod(containers=two).cpu_request == 1.0


def test_a_pod_asks_for_its_largest_init_container_if_that_is_more() -> None:
    main = [{"name": "a", "resources": _resources("1", "100Mi")}]
    init = [{"name": "i", "resources": _resources("3", "50Mi")}, {"name": "j", "resources": _resources("2")}]
    asked = pod(containers=main, initContainers=init)
    assert (asked.pod_cpu_request, asked.pod_memory_request) == (3.0, 100 * MIB)


def test_sidecars_run_beside_the_containers_and_the_init_containers_after_them() -> None:
    side = {"name": "s", "restartPolicy": "Always", "resources": _resources("500m")}
    late = {"name": "i", "resources": _resources("2")}
    main = [{"name": "a", "resources": _resources("1")}]
    assert pod(containers=main, initContainers=[side]).pod_cpu_request == 1.5
    assert pod(containers=main, initContainers=[side, late]).pod_cpu_request == 2.5
    assert pod(containers=main, initContainers=[late, side]).pod_cpu_request == 2.0
    assert [c.name for c in pod(containers=main, initContainers=[side, late]).long_running] == ["s", "a"]


def test_overhead_and_requests_of_the_pod_itself_count() -> None:
    main = [{"name": "a", "resources": _resources("1")}]
    assert pod(containers=main, overhead={"cpu": "100m"}).pod_cpu_request == 1.1
    own = pod(containers=main, resources={"requests": {"cpu": "4"}}, overhead={"cpu": "1"})
    assert (own.pod_cpu_request, own.pod_level_requests) == (5.0, True)


def test_lists_are_opened_up_and_the_cluster_s_own_fields_are_no_matter() -> None:
    found = manifests("other/cluster.yaml")
    assert list(found) == [
        "Deployment/cache",
        "Deployment/api",
        "HorizontalPodAutoscaler/api",
        "StatefulSet/db",
    ]
    api = read_deployment(found["Deployment/api"])
    assert (api.replicas, api.max_unavailable, api.memory_request) == (4, "0", 1024 * MIB)


def test_a_typed_list_gives_its_items_their_kind() -> None:
    item = {"metadata": {"name": "web"}}
    data = {"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [item, 5]}
    found, strangers = manifests_of([Document(data, Place("x", 1), "x")])
    assert [(m.key, m.api_version) for m in found] == [("Deployment/web", "apps/v1")]
    assert len(strangers) == 1


def test_services_and_ingresses_are_read() -> None:
    found = manifests("shop/k8s/network.yaml")
    service = read_service(found["Service/shop"])
    assert (service.type, service.selector) == ("ClusterIP", (("app", "shop"),))
    ingress = read_ingress(found["Ingress/shop"])
    assert (ingress.class_name, ingress.services) == ("haproxy", ("shop",))


def test_a_variant_s_manifest_is_read_anew() -> None:
    data = fleet_data()
    patch = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}}
    data["variants"] = {"quick": {"manifests": {"Deployment/web": patch}}}
    assert fleet_from_data(data, "quick").deployment.termination_grace_s == 5.0
