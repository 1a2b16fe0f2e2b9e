"""`seawall hpa` from the outside: the documented commands, the answer's forms, wrong input."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from seawall.cli.hpa import command
from seawall.fleet.errors import InputError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "data" / "hpa" / "example"
DEPLOYMENT, HPA, LOAD = (EXAMPLE / name for name in ("deployment.yaml", "hpa.yaml", "load.csv"))
DOCUMENTED = [
    line.removeprefix("$ seawall hpa ")
    for line in (ROOT / "docs" / "reference" / "hpa.md").read_text().splitlines()
    if line.startswith("$ seawall hpa ")
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refused(*arguments: object) -> InputError:
    """The InputError that stops the command; nothing has been printed."""
    result = run(*arguments)
    assert result.stdout == ""
    assert isinstance(result.exception, InputError), result.exception
    return result.exception


def edited(tmp_path: Path, source: Path, old: str, new: str) -> Path:
    text = source.read_text()
    assert old in text
    path = tmp_path / source.name
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize("line", DOCUMENTED)
def test_documented_commands(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run(*shlex.split(line))
    assert result.exit_code == 0, result.output


def test_the_docs_show_commands_and_their_real_answer() -> None:
    assert len(DOCUMENTED) >= 4
    shown = "cpu at 101 % of request against a target of 70 %: 6 pods asked for"
    assert shown in (ROOT / "docs" / "reference" / "hpa.md").read_text()
    assert shown in " ".join(run(DEPLOYMENT, HPA, LOAD).output.split())


def test_the_table_tells_sizes_and_reasons() -> None:
    output = " ".join(run(DEPLOYMENT, HPA, LOAD).output.split())
    assert output.startswith("web scales Deployment/web between 4 and 40 pods on cpu at 70 % of request")
    assert "4 -> 6" in output
    assert "the highest recommendation" in output
    assert "more syncs until" in output
    assert "peak 26 pods, 6 rescales, 6 at the end; 2.99 % of the CPU asked for was more than" in output


def test_json_is_one_object_and_nothing_else() -> None:
    found = json.loads(run(DEPLOYMENT, HPA, LOAD, "--json").stdout)
    assert found["summary"]["peak_replicas"] == 26
    assert found["load"]["seconds"] == 1320
    sizes = [sync["desired"] for sync in found["syncs"]]
    assert max(sizes) == 26
    rescaled = [sync for sync in found["syncs"] if sync["rescaled"]]
    assert len(rescaled) == found["summary"]["rescales"] == 6
    assert rescaled[0]["reason"] == "cpu resource utilization (percentage of request) above target"
    assert run(DEPLOYMENT, HPA, LOAD, "--json").stdout == run(DEPLOYMENT, HPA, LOAD, "--json").stdout


def test_csv_has_a_row_a_sync() -> None:
    rows = list(csv.DictReader(io.StringIO(run(DEPLOYMENT, HPA, LOAD, "--csv").stdout)))
    assert len(rows) == len(json.loads(run(DEPLOYMENT, HPA, LOAD, "--json").stdout)["syncs"])
    assert rows[0]["cpu"] == "1.2"
    assert rows[0]["why"].startswith("cpu at 60 %")


def test_both_manifests_in_one_file_with_strangers(tmp_path: Path) -> None:
    both = tmp_path / "all.yaml"
    other = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    both.write_text("---\n".join([other, DEPLOYMENT.read_text(), HPA.read_text()]))
    assert run(both, both, LOAD, "--json").stdout == run(DEPLOYMENT, HPA, LOAD, "--json").stdout


def test_policies_are_told(tmp_path: Path) -> None:
    policies = "{scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 60}]}}"
    hpa = edited(tmp_path, HPA, "behavior: {}", f"behavior: {policies}")
    assert "scaleUp policy allows 4 + 2 pods in 60 s: 6" in " ".join(
        run(DEPLOYMENT, hpa, LOAD).output.split()
    )


def test_without_a_request_it_says_what_kubernetes_would_do(tmp_path: Path) -> None:
    bare = edited(tmp_path, DEPLOYMENT, "        resources:\n", "        unused:\n")
    error = refused(bare, HPA, LOAD)
    assert "FailedGetResourceMetric (missing request for cpu)" in error.message
    assert (Path(error.file or "").name, error.line) == ("hpa.yaml", 10)


def test_an_hpa_of_another_deployment(tmp_path: Path) -> None:
    hpa = edited(tmp_path, HPA, "kind: Deployment, name: web", "kind: Deployment, name: shop")
    error = refused(DEPLOYMENT, hpa, LOAD)
    assert "scaleTargetRef names Deployment/shop, and there is Deployment/web" in error.message
    assert error.line == 6


def test_several_autoscalers_are_told_apart_by_name(tmp_path: Path) -> None:
    second = HPA.read_text().replace("metadata:\n  name: web", "metadata:\n  name: night")
    both = tmp_path / "hpa.yaml"
    both.write_text(HPA.read_text() + "---\n" + second)
    assert "name one with --name" in refused(DEPLOYMENT, both, LOAD).message
    assert run(DEPLOYMENT, both, LOAD, "--name", "night").output.startswith("night scales")
    assert "no HorizontalPodAutoscaler called day" in refused(DEPLOYMENT, both, LOAD, "--name", "day").message


def test_a_load_without_what_the_hpa_measures(tmp_path: Path) -> None:
    requests = EXAMPLE / "requests.csv"
    assert "--cpu-per-request 20ms" in refused(DEPLOYMENT, HPA, requests).message
    load = tmp_path / "load.csv"
    load.write_text("t,memory\n0,1Gi\n")
    error = refused(DEPLOYMENT, HPA, load)
    assert error.message == "the HPA scales on cpu, and the load does not tell it: add the column cpu"
    assert error.line == 1


def test_another_container(tmp_path: Path) -> None:
    metric = yaml.safe_load(HPA.read_text())
    metric["spec"]["metrics"] = [
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": "proxy",
                "target": {"type": "Utilization", "averageUtilization": 50},
            },
        }
    ]
    path = tmp_path / "hpa.yaml"
    path.write_text(yaml.safe_dump(metric))
    deployment = tmp_path / "deployment.yaml"
    proxy = "      - {name: proxy, image: example.org/proxy:1, resources: {requests: {cpu: 100m}}}\n"
    deployment.write_text(DEPLOYMENT.read_text() + proxy)
    assert "measures container proxy" in refused(deployment, path, LOAD).message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("nowhere.yaml", HPA, LOAD), "there is no such file"),
        ((LOAD, LOAD, LOAD), "there is no HorizontalPodAutoscaler"),
        ((DEPLOYMENT, DEPLOYMENT, LOAD), "there is no HorizontalPodAutoscaler; there is Deployment/web"),
        ((HPA, HPA, LOAD), "there is no Deployment; there is HorizontalPodAutoscaler/web"),
        ((DEPLOYMENT, HPA, HPA), "there is no column t"),
    ],
)
def test_wrong_files(wrong: tuple[object, ...], message: str) -> None:
    assert message in refused(*wrong).message


@pytest.mark.parametrize(
    "options",
    [
        ("--start", "soon"),
        ("--start", "1s+2s+3s"),
        ("--sync-period", "0s"),
        ("--json", "--csv"),
        ("--max-pods", "0"),
    ],
)
def test_wrong_options(options: tuple[str, ...]) -> None:
    result = run(DEPLOYMENT, HPA, LOAD, *options)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, seawall.cli.hpa; sys.exit('numpy' in sys.modules or 'yaml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "LOAD_CSV has a header" in run("--help").output
