"""A first fleet file: it loads at once, and says what was found, what was guessed, what is to be measured."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fleet.examples import DATA, autoscaler, deployment
from seawall.cli.init import command
from seawall.fleet.errors import InputError
from seawall.fleet.guess import ServerGuess, guess_server
from seawall.fleet.initial import initial_fleet, initial_fleet_from_text
from seawall.fleet.kubernetes import Container
from seawall.fleet.model import ApachePrefork, GunicornSync
from seawall.fleet.reader import Fleet, complete, read_fleet, source_from_text, variants
from seawall.fleet.units import MIB


def from_stdin(*manifests: dict[str, Any]) -> str:
    return initial_fleet_from_text("\n---\n".join(json.dumps(manifest) for manifest in manifests))


def fleet_of(text: str, folder: Path = Path(), variant: str | None = None) -> Fleet:
    return complete(source_from_text(text, "fleet.yaml", folder), variant)


def test_a_folder_gives_a_file_that_loads_in_every_variant() -> None:
    text = initial_fleet([DATA / "shop" / "k8s"], DATA / "shop")
    source = source_from_text(text, "fleet.yaml", DATA / "shop")
    assert variants(source) == ["today", "more-pods"]
    for name in variants(source):
        fleet = complete(source, name)
        assert fleet.deployment.name == "shop"
        assert fleet.hpa is not None
        assert fleet.hpa.min_replicas == {"today": 2, "more-pods": 4}[name]


def test_apache_s_settings_come_from_config_maps_and_the_environment() -> None:
    text = initial_fleet([DATA / "shop" / "k8s"], DATA / "shop")
    server = fleet_of(text, DATA / "shop").file.service.server
    assert isinstance(server, ApachePrefork)
    assert (server.start_servers, server.min_spare_servers) == (2, 2)
    assert (server.max_spare_servers, server.max_request_workers) == (5, 5)
    assert "# env APACHE_MPM_MAX_REQUEST_WORKERS" in text
    assert "Ingress shop (class haproxy)" in text


def test_measured_facts_stay_defaults_until_somebody_writes_them() -> None:
    text = initial_fleet([DATA / "shop" / "k8s"], DATA / "shop")
    fleet = fleet_of(text, DATA / "shop")
    assert "service.requests.page.cpu" in fleet.defaults
    assert "service.memory.base" in fleet.defaults
    assert "# cpu: 20ms" in text
    assert "MEASURE" in text
    assert set(fleet.assumptions) == {
        "platform.nodePools.nodes.instanceType",
        "service.server.kind",
        "traffic.users.count",
    }


def test_commented_defaults_are_the_defaults_in_force() -> None:
    text = initial_fleet([DATA / "shop" / "k8s"], DATA / "shop")
    plain = fleet_of(text, DATA / "shop").file
    lines = []
    for line in text.splitlines():
        marked = "MEASURE: " in line or line in ("  # memory:", "  # start:")
        lines.append(line.replace("# ", "", 1).split("# MEASURE")[0] if marked else line)
    written = fleet_of("\n".join(lines), DATA / "shop")
    assert written.file.service == plain.service
    assert written.file.platform.node_pools == plain.platform.node_pools
    assert "service.memory.base" not in written.defaults


def test_the_output_of_helm_is_put_into_the_file() -> None:
    text = initial_fleet_from_text((DATA / "other" / "helm.yaml").read_text())
    fleet = fleet_of(text)
    assert isinstance(fleet.file.service.server, GunicornSync)
    assert (fleet.file.service.server.workers, fleet.file.service.server.timeout) == (4, 45.0)
    assert fleet.file.service.server.max_requests == 500
    assert fleet.deployment.memory_limit == 512 * MIB
    assert (fleet.pools[0].instance.name, fleet.pools[0].spec.min) == ("m5.large", 3)
    assert fleet.file.platform.balancer.kind == "kube-proxy"
    assert "Named and ignored: Pod/release-blog-test" in text


def test_the_output_of_kubectl_is_put_into_the_file_without_the_cluster_s_own_fields() -> None:
    text = initial_fleet_from_text((DATA / "other" / "cluster.yaml").read_text())
    fleet = fleet_of(text)
    assert fleet.deployment.name == "api"  # the one that an autoscaler scales
    assert "others there: cache" in text
    for noise in ("managedFields", "status:", "resourceVersion", "last-applied"):
        assert noise not in text
    labels = dict(fleet.deployment.labels)
    assert labels == {"app": "api", "build": "1e3"}  # text stays text
    assert dict(fleet.deployment.main.env)["DEBUG"] == "no"
    assert isinstance(fleet.file.service.server, GunicornSync)
    assert fleet.file.service.server.workers == 3


def test_a_deployment_behind_an_ingress_is_chosen_before_others() -> None:
    backend = {"service": {"name": "front", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "all"},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}}
    service["spec"] = {"selector": {"app": "web"}}  # type: ignore[assignment]
    text = from_stdin(deployment("queue"), deployment("web"), ingress, service)
    assert fleet_of(text).deployment.name == "web"
    assert fleet_of(text).file.platform.balancer.kind == "haproxy"


def test_nodes_are_guessed_by_what_a_pod_needs() -> None:
    small, large = deployment(), deployment()
    resources = {"requests": {"cpu": "3", "memory": "20Gi"}}
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    names = [fleet_of(from_stdin(m)).pools[0] for m in (small, large)]
    assert names[0].price_per_hour < names[1].price_per_hour
    for pool, manifest in zip(names, (small, large), strict=True):
        pod = fleet_of(from_stdin(manifest)).deployment
        assert pod.pod_memory_request <= pool.free_memory
        assert pod.pod_cpu_request <= pool.free_cpu


def test_a_pod_that_fits_nowhere_still_gives_a_file() -> None:
    huge = deployment()
    huge["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "40Ti"}}
    text = from_stdin(huge)
    assert "no common type is large enough" in text
    assert "stay Pending" in fleet_of(text).warnings[0].text


def test_sysctls_of_the_pod_are_shown() -> None:
    assert "net.core.somaxconn: 16384" in initial_fleet([DATA / "shop" / "k8s"], DATA / "shop")


def guessed(image: str = "", command: tuple[str, ...] = (), **env: str) -> ServerGuess:
    container = Container("c", image, None, None, None, None, command, (), (), None, None, None)
    return guess_server(container, env)


def settings(guess: ServerGuess) -> dict[str, str]:
    return {name: value for name, value, _ in guess.settings}


@pytest.mark.parametrize(
    ("guess", "kind", "found"),
    [
        (guessed("php:8.3-apache"), "apache-prefork", {}),
        (guessed("httpd:2.4"), "apache-prefork", {}),
        (guessed("x", ("apache2ctl", "-D", "FOREGROUND")), "apache-prefork", {}),
        (guessed(APACHE_MPM_MAX_REQUEST_WORKERS="5"), "apache-prefork", {"MaxRequestWorkers": "5"}),
        (guessed("httpd", (), KEEPALIVE="Off", MAX_SPARE_SERVERS="9"), "apache-prefork", None),
        (guessed("x", ("gunicorn", "-w", "4", "a:b")), "gunicorn-sync", {"workers": "4"}),
        (guessed("x", ("/app/bin/gunicorn", "-w4")), "gunicorn-sync", {"workers": "4"}),
        (guessed("x", ("sh", "-c", "exec gunicorn --workers 3 a:b")), "gunicorn-sync", {"workers": "3"}),
        (guessed("x", ("gunicorn", "--workers=${N}"), N="6"), "gunicorn-sync", {"workers": "6"}),
        (guessed(WEB_CONCURRENCY="3"), "gunicorn-sync", {"workers": "3"}),
        (guessed(GUNICORN_CMD_ARGS="--workers=2 --timeout 60"), "gunicorn-sync", None),
        (guessed("x", ("gunicorn", "-w", "8"), GUNICORN_CMD_ARGS="-w 2"), "gunicorn-sync", {"workers": "8"}),
        (guessed("x", ("gunicorn", "--preload")), "gunicorn-sync", {"preload_app": "true"}),
        (guessed("x", ("gunicorn", "-w", "$(unclear")), "gunicorn-sync", {}),
        (guessed("nginx:1"), "gunicorn-sync", {}),
    ],
)
def test_the_server_is_guessed_from_image_command_and_environment(
    guess: ServerGuess, kind: str, found: dict[str, str] | None
) -> None:
    assert guess.kind == kind
    if found is not None:
        assert settings(guess) == found


def test_several_settings_are_found() -> None:
    assert settings(guessed("httpd", (), KEEPALIVE="Off", MAX_SPARE_SERVERS="9")) == {
        "MaxSpareServers": "9",
        "KeepAlive": "Off",
    }
    args = guessed(GUNICORN_CMD_ARGS="--workers=2 --timeout 60")
    assert settings(args) == {"workers": "2", "timeout": "60s"}


def test_what_is_not_modelled_or_not_known_is_said() -> None:
    assert "sync workers" in guessed("x", ("gunicorn", "-k", "gthread", "--threads", "8")).remarks[0]
    assert "nothing in the manifests says" in guessed("nginx:1").remarks[0]
    assert "above ServerLimit" in guessed(APACHE_MAX_REQUEST_WORKERS="400").remarks[0]


def test_impossible_settings_are_not_taken_over() -> None:
    for value in ("0", "-5", "many", "999999", ""):
        assert settings(guessed(APACHE_MAX_REQUEST_WORKERS=value, WEB_CONCURRENCY=value)) == {}


_TEXT = st.text(max_size=20)


@given(_TEXT, _TEXT, st.lists(_TEXT, max_size=3), _TEXT)
def test_whatever_stands_in_a_manifest_the_file_loads(
    image: str, value: str, words: list[str], label: str
) -> None:
    web = deployment()
    container = web["spec"]["template"]["spec"]["containers"][0]
    container |= {"image": image, "command": words, "env": [{"name": "X", "value": value}]}
    web["metadata"]["annotations"] = {"note": label}
    fleet = fleet_of(from_stdin(web))
    assert fleet.deployment.main.command == tuple(words)
    assert fleet.deployment.main.env == (("X", value),)
    assert fleet.deployment.main.image == image


@pytest.mark.parametrize("name", ["1e3", "yes", "null", "0644", "a b", "a: b", "#x", '"q"', "x\ny", "-", "€"])
def test_odd_names_are_quoted(name: str) -> None:
    assert fleet_of(from_stdin(deployment(name))).file.name == name


def test_manifests_as_deep_as_allowed_are_written_out() -> None:
    web = deployment()
    inner = web["metadata"]["x"] = {}
    for _ in range(185):
        inner["a"] = {}
        inner = inner["a"]
    assert fleet_of(from_stdin(web)).deployment.name == "web"


def test_contradictory_manifests_are_refused_with_their_own_lines() -> None:
    web = deployment()
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = {}
    with pytest.raises(InputError) as caught:
        from_stdin(web, autoscaler())
    assert caught.value.file == "<stdin>"
    assert "FailedGetResourceMetric" in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no Deployment among the manifests"),
        ("kind: StatefulSet\nmetadata: {name: db}\n", "StatefulSet/db: only a Deployment is supported"),
        ("kind: [\n", "is not YAML"),
        ("just text", "no Deployment"),
        ("{{ .Values.x }}: 1\n", "helm template"),
    ],
)
def test_what_holds_no_deployment_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        initial_fleet_from_text(text)
    assert caught.value.file == "<stdin>"


def test_the_command_writes_paths_from_the_current_folder(tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(DATA / "shop" / "k8s", tmp_path / "apps" / "my shop")
    (tmp_path / "fleets").mkdir()
    monkeypatch.chdir(tmp_path / "fleets")
    result = CliRunner().invoke(command, ["../apps/my shop"])
    assert result.exit_code == 0
    Path("fleet.yaml").write_text(result.stdout)
    assert complete(read_fleet("fleet.yaml"), "more-pods").deployment.name == "shop"
    assert "../apps/my shop" in result.stdout
    assert os.getcwd() not in result.stdout


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_the_command_reads_standard_input(arguments: list[str]) -> None:
    text = (DATA / "other" / "helm.yaml").read_text()
    result = CliRunner().invoke(command, arguments, input=text)
    assert result.exit_code == 0
    assert result.stdout == initial_fleet_from_text(text)


def test_the_command_prints_nothing_where_it_fails() -> None:
    result = CliRunner().invoke(command, ["-"], input="kind: ConfigMap\nmetadata: {name: x}\n")
    assert result.stdout == ""
    assert isinstance(result.exception, InputError)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        initial_fleet([tmp_path / "nowhere"], tmp_path)
