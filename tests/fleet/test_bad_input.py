"""Whatever is wrong with a fleet: messages with file and line, what to write instead, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.examples import DATA, autoscaler, deployment, fleet_data
from seawall.fleet.errors import InputError
from seawall.fleet.reader import complete, fleet_from_data, read_fleet, variants
from seawall.fleet.stories import load

FLEET = (DATA / "shop" / "fleet.yaml").read_text()
LINES = FLEET.splitlines()


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(LINES, 1) if text in line)


def refusal(folder: Path, text: str, variant: str | None = None) -> InputError:
    """The error of a fleet file with this text beside the shop's manifests."""
    manifests = folder / "k8s"
    if not manifests.exists():
        manifests.symlink_to(DATA / "shop" / "k8s")
    file = folder / "fleet.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        complete(read_fleet(file), variant)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # Unknown keys, with the nearest known one.
        ("    MaxRequestWorkers: 5", "    MaxRequestWorker: 5", "did you mean `MaxRequestWorkers`?"),
        ("    MaxRequestWorkers: 5", "    max_request_workers: 5", "did you mean `MaxRequestWorkers`?"),
        ("    pace: 5s", "    paces: 5s", "did you mean `pace`?"),
        ("      bootTime: 90s", "      boot_time: 90s", "did you mean `bootTime`?"),
        ("    timeout queue: 5s", "    timeout_queue: 5s", "did you mean `timeout queue`?"),
        ("objectives:", "objective:", "did you mean `objectives`?"),
        ("    StartServers: 2", "    zzz: 2", "known here: kind, StartServers"),
        # Wrong units, with an example.
        ("      wait: 30ms", "      wait: 30 parsecs", "is not a duration; write for example 15ms"),
        ("      memory: 2Mi", "      memory: 2MB", "is not a quantity; write for example 500m"),
        ("    base: 60Mi", "    base: 60s", "is not a quantity"),
        ("    timeout: 10s", "    timeout: 10Mi", "is not a duration"),
        ("  served: 99.9%", "  served: most", "is not a share; write for example 99.9%"),
        ("      cpu: 50ms", "      cpu: {exponental: 50ms}", "is not a distribution; write a value"),
        ("      cpu: 50ms", "      cpu: {lognormal: {median: 5ms}}", "lognormal takes {median: , p95: }"),
        ("p100: 2s}", "p99: 2s}", "quantiles need p100"),
        ("    KeepAlive: On", "    KeepAlive: Maybe", "is neither On nor Off"),
        # Impossible values.
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: 0", "`0` is impossible; write at least 1"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: 99999", "write at most 20000"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: -5", "`-5` is impossible"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: 5.5", "is not a whole number"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: true", "is not a whole number"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: [5]", "is not a whole number"),
        ("    MaxRequestWorkers: 5", "    MaxRequestWorkers: 1" + "0" * 400, "is not a whole number"),
        ("  served: 99.9%", "  served: 150%", "`150%` is impossible; write at most 1"),
        ("    base: 60Mi", "    base: -60Mi", "`-60Mi` is impossible; write at least 0"),
        ("    base: 60Mi", "    base: 1e999", "is not a quantity"),
        ("      wait: 30ms", "      wait: -30ms", "is impossible; write at least 0"),
        ("    timeout: 10s", "    timeout: 0s", "`0s` is impossible; write more than 0"),
        ("      share: 9", "      share: a lot", "is not a number"),
        ("      max: 6", "      max: 1", "min 2 is more than max 1"),
        ("      min: 2", "      min: 2\n      initial: 9", "initial 9 is not between min 2 and max 6"),
        ("latency: {p99: 800ms}", "latency: {slow: 800ms}", "is not a percentile; write for example p50"),
        ("latency: {p99: 800ms}", "latency: {p100: 800ms}", "is not a percentile"),
        ("    pace: 5s", "    pace: 5s\n    think: 2s", "has both pace and think"),
        ("    pace: 5s", "    jitter: 10%", "has neither pace nor think"),
        ('["POST /checkout*", "~POST', '["POST /checkout*", "~(POST', "is not a regular expression"),
        # Wrong words and wrong shapes.
        ("    balance: leastconn", "    balance: leastcon", "did you mean `leastconn`?"),
        ("    kind: apache-prefork", "    kind: apache", "kind `apache` is not known; did you mean"),
        ("    kind: apache-prefork", "    name: apache", "says no `kind`"),
        ("    kind: haproxy", "    kind: envoy", "kind `envoy` is not known"),
        ("      reserved: eks", "      reserved: gke", "`gke` is not known"),
        ("      reserved: eks", "      reserved: {cpus: 1}", "did you mean `cpu`?"),
        ("    modWsgi: embedded", "    modWsgi: daemon", "`daemon` is not known"),
        ("    modWsgi: embedded", "    modWsgi: {processes: 0}", "`0` is impossible"),
        ("  manifests: [k8s]", "  manifests: k8s", "`k8s` stands where a list"),
        (
            "  manifests: [k8s]",
            "  manifests: [5]",
            "`5` is read as a number or a truth value; put it in quotes",
        ),
        ('  kubernetes: "1.36"', "  kubernetes: 1.36", "put it in quotes"),
        ('  kubernetes: "1.36"', "  kubernetes: latest", "is not a version"),
        ('    linux: "6.8"', "    linux: six", "is not a version"),
        ("    count: 0 -> 200 in 60s, hold 5m", "    count: 200", "put it in quotes"),
        ("seawall: 1", "seawall: 2", "`2` is not known; known here: 1"),
        ("name: shop", 'name: ""', "is empty"),
        # What is not there.
        ("  manifests: [k8s]", "  manifests: [k9s]", "paths start from the folder of the fleet file"),
        ("  manifests: [k8s]", "  manifests: []", "there is no Deployment among the manifests"),
        ("  manifests: [k8s]", "  manifests: [k8s]\n  deployment: shopp", "did you mean `shop`?"),
        ("      instanceType: t3.medium", "      instanceType: t3.mediun", "did you mean t3.medium"),
        ("      instanceType: t3.medium", "      instanceType: p5e.48xlarge", "has no price"),
        (
            "      instanceType: t3.medium",
            "      instanceType: {vcpu: 2, pricePerHour: 1}",
            "is missing; write `memory:`",
        ),
        ("  service.memory.base:", "  service.memory.bass:", "nothing has this path"),
    ],
)
def test_one_mistake_gives_one_message_at_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert FLEET.count(old) >= 1
    error = refusal(tmp_path, FLEET.replace(old, new, 1))
    changed = next(
        n for n, line in enumerate(FLEET.replace(old, new, 1).splitlines(), 1) if new.split("\n")[0] in line
    )
    assert says in str(error)
    assert error.others == ()
    assert error.file == str(tmp_path / "fleet.yaml")
    near = range(
        changed - 3, changed + 3
    )  # a part that is missing stands at the line of what it is missing in
    assert error.line in near


def test_the_line_is_the_very_line_of_the_value(tmp_path: Path) -> None:
    for old, new in [("      wait: 30ms", "      wait: 30xs"), ("  served: 99.9%", "  served: 5x")]:
        assert refusal(tmp_path, FLEET.replace(old, new, 1)).line == line_of(old)


def test_several_mistakes_are_listed_line_by_line(tmp_path: Path) -> None:
    text = (
        FLEET.replace("pace: 5s", "pase: 5s")
        .replace("base: 60Mi", "base: 60Mib")
        .replace("max: 6", "max: six")
    )
    lines = str(refusal(tmp_path, text)).splitlines()
    file = tmp_path / "fleet.yaml"
    assert [line.split(": ")[0] for line in lines] == [
        f"{file}:{line_of('base: 60Mi')}",
        f"{file}:{line_of('max: 6')}",
        f"{file}:{line_of('pace: 5s')}",
    ]


def test_a_hundred_mistakes_are_not_a_hundred_lines() -> None:
    data = fleet_data()
    data["service"]["requests"] = {f"r{n}": {"cpu": "x"} for n in range(100)}
    with pytest.raises(InputError) as caught:
        fleet_from_data(data)
    assert str(caught.value).splitlines()[-1] == "and 80 more like these"


def test_mistakes_of_a_variant_have_the_lines_of_the_variant(tmp_path: Path) -> None:
    text = FLEET.replace("          instanceType: t3.large", "          instanceType: t3.largo")
    error = refusal(tmp_path, text, "larger")
    assert error.line == line_of("instanceType: t3.large")
    text = FLEET.replace("MaxSpareServers: 10}", "MaxSpareServer: 10}")
    error = refusal(tmp_path, text, "larger")
    assert error.line == line_of("MaxSpareServers: 10}")
    assert "did you mean `MaxSpareServers`?" in error.message


def test_mistakes_in_a_patched_manifest_have_the_lines_of_the_patch(tmp_path: Path) -> None:
    text = FLEET.replace("limits: {memory: 700Mi}", "limits: {memory: 500Mi}")
    error = refusal(tmp_path, text, "limited")
    assert "requests memory 600Mi, above its limit 500Mi; the API server refuses it" in error.message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "is empty"),
        ("# only a comment\n", None, "is empty"),
        ("- a\n- b\n", 1, "a fleet is a mapping"),
        ("just text", 1, "a fleet is a mapping"),
        ("a: 1\n---\nb: 2\n", 3, "several documents"),
        ("apiVersion: apps/v1\nkind: Deployment\n", 1, "make a fleet of it with `seawall init`"),
        ("name: x\nvariants: [a]\n", 2, "give a mapping of names"),
        ("name: x\nvariants:\n  a: 5\n", 3, "give the changes as a mapping"),
        ("name: x\nname: y\n", 2, "is there twice"),
    ],
)
def test_what_is_no_fleet_at_all(tmp_path: Path, text: str, line: int | None, says: str) -> None:
    error = refusal(tmp_path, text)
    assert says in error.message
    assert error.line == line


def test_an_unknown_variant_names_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, FLEET, "limitd")
    assert "no variant 'limitd'; did you mean `limited`?" in error.message
    assert error.line == line_of("variants:")


def test_a_patch_of_an_unknown_manifest_names_the_nearest(tmp_path: Path) -> None:
    error = refusal(tmp_path, FLEET.replace("Deployment/shop:", "Deployment/shob:"), "limited")
    assert "did you mean `Deployment/shop`?" in error.message
    assert error.line == line_of("Deployment/shop:")


def test_a_missing_part_says_what_to_write() -> None:
    for part in ("service", "platform", "traffic", "name"):
        data = fleet_data()
        del data[part]
        with pytest.raises(InputError, match=f"{part}: is missing; write `{part}:`"):
            fleet_from_data(data)


def test_traffic_without_anybody_is_refused() -> None:
    data = fleet_data()
    data["traffic"] = {"clients": {"timeout": "5s"}}
    with pytest.raises(InputError, match="nothing comes; write users, arrivals or recorded"):
        fleet_from_data(data)


def test_manifests_of_a_bad_file_are_refused_with_that_file(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET.replace("[k8s]", "[bad.yaml]"))
    (tmp_path / "bad.yaml").write_text("kind: Deployment\nmetadata: {name: x\n")
    with pytest.raises(InputError) as caught:
        complete(read_fleet(file))
    assert caught.value.file == str(tmp_path / "bad.yaml")


def test_a_huge_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "k8s").mkdir()
    with (tmp_path / "k8s" / "huge.yaml").open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    with pytest.raises(InputError, match=r"huge\.yaml: is larger than 20 MiB"):
        complete(read_fleet(tmp_path / "fleet.yaml"))


def test_an_empty_folder_holds_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "k8s").mkdir()
    with pytest.raises(InputError, match="holds no Kubernetes manifest"):
        complete(read_fleet(tmp_path / "fleet.yaml"))


# ------------------------------------------------------------------------------ manifests against each other


def refused(*manifests: dict[str, Any], **platform: Any) -> str:
    data = fleet_data(*manifests)
    data["platform"].update(platform)
    with pytest.raises(InputError) as caught:
        fleet_from_data(data)
    return str(caught.value)


def without_requests(name: str = "web") -> dict[str, Any]:
    manifest = deployment(name)
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = {}
    return manifest


def test_an_autoscaler_without_a_cpu_request_says_what_kubernetes_would_do() -> None:
    text = refused(without_requests(), autoscaler())
    assert "FailedGetResourceMetric (missing request for cpu)" in text
    assert "never scale on it" in text
    assert "write resources.requests.cpu" in text


def test_one_container_without_a_request_is_enough() -> None:
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "log:1"})
    assert "container log of Deployment/web requests no cpu" in refused(manifest, autoscaler())


def test_an_autoscaler_on_a_plain_value_needs_no_request() -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu"}}
    metric["resource"]["target"] = {"type": "AverageValue", "averageValue": "500m"}  # type: ignore[index]
    data = fleet_data(without_requests(), autoscaler(metrics=[metric]))
    assert fleet_from_data(data).hpa is not None


def test_an_autoscaler_of_one_container_asks_that_container_alone() -> None:
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "log:1"})
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "ContainerResource", "containerResource": {"name": "cpu", "target": target}}
    metric["containerResource"]["container"] = "web"  # type: ignore[index]
    assert fleet_from_data(fleet_data(manifest, autoscaler(metrics=[metric]))).hpa is not None
    metric["containerResource"]["container"] = "log"  # type: ignore[index]
    text = refused(manifest, autoscaler(metrics=[metric]))
    assert "container log of Deployment/web requests no cpu" in text
    assert "FailedGetContainerResourceMetric" in text
    metric["containerResource"]["container"] = "gone"  # type: ignore[index]
    assert "has no container gone" in refused(manifest, autoscaler(metrics=[metric]))


def test_memory_utilisation_asks_for_a_memory_request() -> None:
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "memory", "target": target}}
    manifest = deployment()
    del manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]
    assert "missing request for memory" in refused(manifest, autoscaler(metrics=[metric]))


def test_requests_of_the_pod_itself_are_enough() -> None:
    manifest = without_requests()
    manifest["spec"]["template"]["spec"]["resources"] = {"requests": {"cpu": "1", "memory": "1Gi"}}
    assert fleet_from_data(fleet_data(manifest, autoscaler())).hpa is not None


def test_a_service_that_selects_other_pods_is_warned_of() -> None:
    service: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}}
    service["spec"] = {"selector": {"app": "wep"}}
    (warning,) = fleet_from_data(fleet_data(deployment(), service)).warnings
    assert "nothing would reach them" in warning.text
    service["spec"] = {"selector": {"app": "web"}}
    assert fleet_from_data(fleet_data(deployment(), service)).warnings == ()


def test_a_path_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in str(refusal(tmp_path, FLEET.replace("[k8s]", f"[{'k' * 5000}]")))
    with pytest.raises(InputError):
        load("x" * 5000)


def test_an_autoscaler_of_nobody_is_refused_and_says_what_kubernetes_would_do() -> None:
    text = refused(deployment(), autoscaler("wep"))
    assert "FailedGetScale" in text
    assert "did you mean `web`?" in text


def test_an_autoscaler_of_another_workload_is_ignored() -> None:
    other = autoscaler("db", "db")
    other["spec"]["scaleTargetRef"]["kind"] = "StatefulSet"
    assert fleet_from_data(fleet_data(deployment(), other)).hpa is None
    assert fleet_from_data(fleet_data(deployment(), autoscaler(), autoscaler("gone", "gone"))).hpa is not None


def test_two_autoscalers_of_one_deployment_are_refused() -> None:
    assert "scales Deployment/web already" in refused(deployment(), autoscaler(), autoscaler(name="b"))


def test_more_pods_at_least_than_at_most_are_refused() -> None:
    assert "is less than minReplicas 9" in refused(deployment(), autoscaler(minReplicas=9, maxReplicas=3))


def test_several_deployments_ask_for_a_choice() -> None:
    assert "write `deployment:` and one of web, worker" in refused(deployment(), deployment("worker"))


def test_the_same_deployment_twice_is_refused() -> None:
    assert "is there twice" in refused(deployment(), deployment())


@pytest.mark.parametrize("kind", ["StatefulSet", "Rollout", "DaemonSet"])
def test_other_workloads_alone_are_named_and_not_supported(kind: str) -> None:
    manifest = {**deployment(), "kind": kind}
    assert f"{kind}/web: only a Deployment is supported" in refused(manifest)


def test_a_manifest_without_a_kind_is_refused() -> None:
    assert "has no kind" in refused(deployment(), {"name": "x"})


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["apiVersion"], "extensions/v1beta1", "write apps/v1"),
        (["metadata"], {}, "give it a name"),
        (["metadata"], "web", "give it a name"),
        (["spec"], "x", "containers is missing"),
        (["spec", "replicas"], 10**9, "holds at most 150,000 pods"),
        (["spec", "replicas"], -1, "write a whole number of at least 0"),
        (["spec", "replicas"], "two", "write a whole number"),
        (["spec", "selector"], None, "selector is missing"),
        (
            ["spec", "selector", "matchLabels"],
            {"app": "wep"},
            "the API server refuses it: make them the same",
        ),
        (["spec", "selector", "matchLabels"], "x", "write a mapping"),
        (["spec", "template", "metadata", "labels"], ["x"], "write a mapping"),
        (["spec", "template", "spec", "containers"], [], "give at least one container"),
        (["spec", "template", "spec", "containers"], {"a": 1}, "write a list"),
        (["spec", "template", "spec", "containers"], ["x"], "a container is a mapping"),
        (["spec", "template", "spec", "initContainers"], "x", "write a list"),
        (["spec", "template", "spec", "terminationGracePeriodSeconds"], "30s", "write a whole number"),
        (["spec", "template", "spec", "tolerations"], "x", "write a list"),
        (["spec", "template", "spec", "securityContext"], {"sysctls": {"a": 1}}, "write a list"),
        (["spec", "template", "spec", "nodeSelector"], [1], "write a mapping"),
    ],
)
def test_a_deployment_that_the_api_server_would_refuse(path: list[str], value: Any, says: str) -> None:
    manifest = deployment()
    where = manifest
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    assert says in refused(manifest)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "resources",
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            "requests cpu 2, above its limit 1",
        ),
        ("resources", {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}, "above its limit 1G"),
        ("resources", {"requests": {"cpu": "half"}}, "is not a quantity"),
        ("resources", {"requests": {"memory": -5}}, "must not be negative"),
        ("readinessProbe", {"periodSeconds": 5}, "needs one of httpGet, tcpSocket, exec, grpc"),
        ("readinessProbe", {"tcpSocket": {"port": 1}, "periodSeconds": 0}, "at least 1"),
        ("readinessProbe", "x", "write a mapping"),
        ("livenessProbe", {"tcpSocket": {"port": 1}, "successThreshold": 2}, "successThreshold must be 1"),
        ("command", "run", "write a list"),
        ("env", {"A": "1"}, "write a list"),
        ("ports", 80, "write a list"),
    ],
)
def test_a_container_that_the_api_server_would_refuse(key: str, value: Any, says: str) -> None:
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"][0][key] = value
    assert says in refused(manifest)


# ------------------------------------------------------------------------------ whatever comes: no traceback

_SCALARS = st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=5)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += _paths(value, (*path, key))
    return found


_WHOLE: dict[str, Any] = yaml.safe_load(FLEET)
_WHOLE["platform"]["manifests"] = [
    document
    for name in sorted((DATA / "shop" / "k8s").iterdir())
    for document in yaml.safe_load_all(name.read_text())
]


@settings(max_examples=300)
@given(st.sampled_from(_paths(_WHOLE)), _ANYTHING, st.sampled_from([None, "limited", "larger"]))
def test_no_value_anywhere_brings_the_reader_down(
    path: tuple[Any, ...], value: Any, variant: str | None
) -> None:
    data = yaml.safe_load(yaml.safe_dump(_WHOLE))
    where = data
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    try:
        fleet = fleet_from_data(data, variant)
    except InputError as error:
        assert str(error)
    else:
        assert fleet.pools


def test_every_variant_of_the_example_is_sound() -> None:
    source = read_fleet(DATA / "shop" / "fleet.yaml")
    assert [complete(source, name).warnings for name in variants(source)] == [(), (), ()]
