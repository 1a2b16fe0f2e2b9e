"""Recorded traffic goes into a fleet file as people write them, and all else in it stays as it was."""

from __future__ import annotations

import os
import shutil
import stat
import textwrap
from pathlib import Path

import pytest
import yaml

from seawall.cli.fleetedit import put_traffic, write_whole
from seawall.cli.trafficblock import Block
from seawall.fleet.errors import InputError
from seawall.traffic.profile import Part

DATA = Path(__file__).parent.parent / "data" / "cli"
BLOCK = Block(
    (
        "# what it is",
        "# arrivals:",
        '#   rate: "5/s for 10m"',
        "recorded:",
        "  file: access.log",
        "  from: 90s",
    ),
    (("item", {"share": "70", "match": '["/item/*"]'}), ("pages", {"share": "30", "match": '["/*"]'})),
    "5/s for 10m",
    Part(90.0, 600.0, 3000.0),
)
RECORDED = {"file": "access.log", "from": "90s"}
HEAD = """\
seawall: 1
name: small
"""
SERVICE = """\
service:
  server: {kind: apache-prefork, MaxRequestWorkers: 5}  # five of them
  requests:
    page:
      share: 1   # the one
      cpu: 20ms  # as measured
      # match: ["GET /"]
      wait: 30ms
      # memory: 2Mi
  # after the requests
"""
PLATFORM = """\
platform:
  manifests: [deployment.yaml]
  nodePools:
    - {name: nodes, instanceType: t3.medium, min: 2, max: 2}
"""
TRAFFIC = """\
traffic:
  clients: {timeout: 2s}
    # deeper than what follows
  # users that come
  # and go
  users:
    count: 0 -> 10 in 5s, hold 5s
    pace: 5s
    # startBurst: {calls: 4}

# promised
objectives: {served: 99%}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    shutil.copy(DATA / "deployment.yaml", tmp_path)
    return tmp_path / "fleet.yaml"


def put(fleet: Path, *parts: str) -> str:
    fleet.write_text("".join(parts))
    return put_traffic(fleet, BLOCK).text


def test_users_make_room_and_the_rest_stays_to_the_letter(fleet: Path) -> None:
    after = put(fleet, HEAD, SERVICE, PLATFORM, TRAFFIC)
    assert after == HEAD + textwrap.dedent("""\
        service:
          server: {kind: apache-prefork, MaxRequestWorkers: 5}  # five of them
          requests:
            item:
              share: 70
              match: ["/item/*"]
              cpu: 20ms  # as measured
              wait: 30ms
              # memory: 2Mi
            pages:
              share: 30
              match: ["/*"]
              cpu: 20ms  # as measured
              wait: 30ms
              # memory: 2Mi
          # after the requests
        """) + PLATFORM + textwrap.dedent("""\
        traffic:
          clients: {timeout: 2s}
            # deeper than what follows
          # what it is
          # arrivals:
          #   rate: "5/s for 10m"
          recorded:
            file: access.log
            from: 90s

        # promised
        objectives: {served: 99%}
        """)


def test_to_write_it_twice_is_to_write_it_once(fleet: Path) -> None:
    once = put(fleet, HEAD, SERVICE, PLATFORM, TRAFFIC)
    assert put(fleet, once) == once


@pytest.mark.parametrize(
    ("traffic", "clients"),
    [
        ("traffic: {clients: {timeout: 2s}, arrivals: {rate: 10/s for 20s}}\n", {"timeout": "2s"}),
        ("traffic: {arrivals: {rate: 10/s for 20s}}  # all of it\n", None),
        ("traffic:\n  arrivals:\n    rate: 10/s for 20s\n  clients:\n    timeout: 2s", {"timeout": "2s"}),
        ("traffic:\n    clients:\n        timeout: 2s\n    recorded: {file: old.csv}\n", {"timeout": "2s"}),
        ("traffic:\n  users: {count: 5 for 5s, pace: 1s}\n  arrivals: {rate: 1/s for 5s}\n", None),
        ("traffic:\n  arrivals:\n    rate: >-\n      10/s for 20s,\n      hold 5s\n\nnotes: {a: b}\n", None),
        ("", None),
    ],
)
def test_traffic_is_found_however_it_is_written(
    fleet: Path, traffic: str, clients: dict[str, str] | None
) -> None:
    before = HEAD + PLATFORM + SERVICE
    after = yaml.safe_load(put(fleet, before, traffic))
    found = after.pop("traffic")
    assert found == {"recorded": RECORDED} | ({} if clients is None else {"clients": clients})
    expected = yaml.safe_load(before + traffic)
    expected.pop("traffic", None)
    assert after["service"].pop("requests").keys() == {"item", "pages"}
    del expected["service"]["requests"]
    assert after == expected


def test_line_ends_stay_those_of_the_file(fleet: Path) -> None:
    fleet.write_bytes((HEAD + SERVICE + PLATFORM + TRAFFIC).replace("\n", "\r\n").encode())
    after = put_traffic(fleet, BLOCK).text
    assert after.count("\r\n") == after.count("\n") > 20


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ("page: {cpu: 20ms, match: ['/*']}", "it has patterns of its own"),
        ("page: {cpu: 20ms}\n    other: {cpu: 5ms}", "put the classes that --block shows there"),
    ],
)
def test_classes_of_ones_own_stay(fleet: Path, requests: str, said: str) -> None:
    service = f"service:\n  server: {{kind: apache-prefork}}\n  requests:\n    {requests}\n"
    fleet.write_text(HEAD + service + PLATFORM + TRAFFIC)
    edited = put_traffic(fleet, BLOCK)
    assert service in edited.text
    assert any(said in sentence for sentence in edited.done)


@pytest.mark.parametrize("page", ["page: {share: 3, cpu: 45ms}", "page: {}"])
def test_the_one_class_hands_on_its_costs(fleet: Path, page: str) -> None:
    service = f"service:\n  server: {{kind: apache-prefork}}\n  requests:\n    {page}\n"
    requests = yaml.safe_load(put(fleet, HEAD, service, PLATFORM, TRAFFIC))["service"]["requests"]
    assert {name: values["share"] for name, values in requests.items()} == {"item": 70, "pages": 30}
    assert [values.get("cpu") for values in requests.values()] == ["45ms" if "45ms" in page else None] * 2


@pytest.mark.parametrize(
    "assumptions",
    [
        "assumptions:\n  traffic.users.count: a guess\n  platform.nodePools.nodes: another\n",
        "assumptions: {traffic.users.count: a guess, platform.nodePools.nodes: another}\n",
    ],
)
def test_what_was_assumed_of_what_is_gone_goes_too(fleet: Path, assumptions: str) -> None:
    after = yaml.safe_load(put(fleet, HEAD, SERVICE, PLATFORM, TRAFFIC, assumptions))
    assert after["assumptions"] == {"platform.nodePools.nodes": "another"}


def test_the_last_assumption_takes_the_part_with_it(fleet: Path) -> None:
    after = put(
        fleet,
        HEAD,
        SERVICE,
        PLATFORM,
        TRAFFIC,
        "# guessed\nassumptions:\n  service.requests.page.cpu: a guess\n",
    )
    assert "assumptions" not in after
    assert "guessed" not in after


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + SERVICE + PLATFORM + "variants: {busy: {traffic: {users: {pace: 1s}}}}\n",
            "nothing was written",
        ),
        (HEAD + SERVICE + TRAFFIC, "platform"),
        ("- a\n- b\n", "a fleet is a mapping"),
        ("a: [", "is not YAML"),
        ("", "is empty"),
    ],
)
def test_what_is_no_fleet_or_would_be_none_is_refused(fleet: Path, text: str, said: str) -> None:
    fleet.write_text(text)
    with pytest.raises(InputError, match=said):
        put_traffic(fleet, BLOCK)
    assert fleet.read_text() == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD
            + "variants: {busy: {traffic: &it {arrivals: {rate: 1/s for 5s}}}}\n"
            + SERVICE
            + PLATFORM
            + "traffic: *it\n",
            "its traffic is an alias",
        ),
        ('{"seawall": 1, "name": "small"}', "as one mapping in braces"),
    ],
)
def test_what_cannot_be_changed_by_its_text_is_said(fleet: Path, text: str, said: str) -> None:
    fleet.write_text(text)
    with pytest.raises(InputError, match=f"{said}; print the block with --block"):
        put_traffic(fleet, BLOCK)
    assert fleet.read_text() == text


def test_a_file_is_written_whole_and_keeps_its_rights(fleet: Path) -> None:
    fleet.write_text("old")
    fleet.chmod(0o640)
    link = fleet.with_name("link.yaml")
    link.symlink_to(fleet)
    write_whole(link, "new")
    assert link.is_symlink()
    assert fleet.read_text() == "new"
    assert stat.S_IMODE(fleet.stat().st_mode) == 0o640
    assert sorted(os.listdir(fleet.parent)) == ["deployment.yaml", "fleet.yaml", "link.yaml"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "gone" / "fleet.yaml", "text")
