"""Settings that the real systems correct by themselves, and what they warn of."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.examples import autoscaler, deployment, fleet_data
from seawall.fleet.checks import full_memory
from seawall.fleet.model import ApachePrefork
from seawall.fleet.reader import Fleet, fleet_from_data
from seawall.fleet.units import MIB


def fleet_with(server: dict[str, Any], *manifests: dict[str, Any], **service: Any) -> Fleet:
    data = fleet_data(*manifests)
    data["service"] = {"server": {"kind": "apache-prefork", **server}, "requests": {"page": {}}, **service}
    return fleet_from_data(data)


def apache(fleet: Fleet) -> ApachePrefork:
    assert isinstance(fleet.file.service.server, ApachePrefork)
    return fleet.file.service.server


def test_apache_lowers_workers_to_the_server_limit_and_says_so() -> None:
    fleet = fleet_with({"MaxRequestWorkers": 20, "ServerLimit": 10})
    assert apache(fleet).max_request_workers == 10
    assert [w.text for w in fleet.warnings] == [
        "MaxRequestWorkers 20 exceeds ServerLimit 10: Apache lowers it to 10; raise ServerLimit too"
    ]


def test_apache_raises_the_spare_servers_above_their_minimum() -> None:
    fleet = fleet_with({"MaxRequestWorkers": 20, "MinSpareServers": 7, "MaxSpareServers": 5})
    assert apache(fleet).max_spare_servers == 8
    assert "Apache takes 8" in fleet.warnings[0].text


def test_sysctls_of_the_pod_are_those_in_force() -> None:
    web = deployment()
    sysctls = [{"name": "net.core.somaxconn", "value": "16384"}, {"name": "net.ipv4.tcp_abort_on_overflow"}]
    sysctls[1]["value"] = "1"
    web["spec"]["template"]["spec"]["securityContext"] = {"sysctls": sysctls}
    fleet = fleet_with({"MaxRequestWorkers": 5}, web)
    assert fleet.file.service.kernel.somaxconn == 16384
    assert fleet.file.service.kernel.tcp_abort_on_overflow is True
    assert fleet.warnings == ()
    told = fleet_with({"MaxRequestWorkers": 5}, web, kernel={"net.core.somaxconn": 128})
    assert told.file.service.kernel.somaxconn == 16384
    assert "net.core.somaxconn 128 is not in force" in told.warnings[0].text


def test_workers_that_outgrow_the_memory_limit_are_warned_of() -> None:
    web = deployment()
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = {
        "limits": {"cpu": "1", "memory": "1200Mi"}
    }
    texts = [w.text for w in fleet_with({}, web).warnings]
    assert len(texts) == 1
    assert "MaxRequestWorkers 256 lets a pod grow to" in texts[0]
    assert "the container's memory limit (1200 MiB)" in texts[0]
    assert fleet_with({"MaxRequestWorkers": 5}, web).warnings == ()


def test_memory_of_a_pod_by_worker_model() -> None:
    memory = {"base": "40Mi", "worker": "10Mi", "application": "60Mi", "growth": "20Mi"}
    page = {"page": {"memory": "2Mi"}}

    def of(server: dict[str, Any]) -> float:
        data = fleet_data()
        data["service"] = {"server": server, "requests": page, "memory": memory}
        return full_memory(fleet_from_data(data).file.service) / MIB

    prefork = {"kind": "apache-prefork", "MaxRequestWorkers": 10}
    assert of(prefork) == 40 + 10 * (10 + 60 + 20 + 2)
    assert of({**prefork, "modWsgi": {"processes": 2, "threads": 3}}) == 40 + 10 * 10 + 2 * 90 + 6 * 2
    assert of({"kind": "gunicorn-sync", "workers": 4}) == 40 + 4 * (10 + 60 + 20 + 2)
    assert of({"kind": "gunicorn-sync", "workers": 4, "preload_app": "On"}) == 40 + 60 + 4 * (10 + 20 + 2)


@pytest.mark.parametrize(("replicas", "warned"), [(1, True), (2, False), (10, False), (11, True)])
def test_replicas_outside_the_autoscaler_s_bounds(replicas: int, warned: bool) -> None:
    fleet = fleet_from_data(fleet_data(deployment(replicas=replicas), autoscaler()))
    assert (["between 2 and 10" in w.text for w in fleet.warnings] == [True]) is warned


def test_versions_decide_defaults() -> None:
    data = fleet_data()
    assert fleet_from_data(data).file.platform.node_monitor_grace_period == 50.0
    data["platform"]["kubernetes"] = "v1.30.4"
    data["service"]["kernel"] = {"linux": "5.15.0-1051-aws"}
    old = fleet_from_data(data).file
    assert (old.platform.version, old.platform.node_monitor_grace_period) == ((1, 30), 40.0)
    assert old.service.kernel.syn_linear_timeouts == 0
    data["service"]["kernel"] = {"linux": "6.5"}
    assert fleet_from_data(data).file.service.kernel.syn_linear_timeouts == 4
