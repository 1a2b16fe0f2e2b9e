"""`seawall traffic`: the screen, the block that a fleet takes, the JSON, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from tests.cli.commands import SEAWALL, seawall

from seawall.cli.main import root, run
from seawall.cli.trafficview import Clock, share_text, size_text, span_text
from seawall.fleet.reader import complete, read_fleet
from seawall.traffic.arrivals import arrivals_from_load
from seawall.traffic.shape import parse_shape

DATA = Path(__file__).parent.parent / "data"
LOG, RATE = DATA / "traffic" / "apache_extract.log", DATA / "traffic" / "stream_extract.csv"
WAVE = "5/s for 20m, -> 80/s in 20s, hold 2m, -> 5/s in 40s, hold 20m"
PATHS = ("/shop/cart", "/shop/item/17", "/img/logo.png", "/")


def write_log(path: Path, wave: str = WAVE) -> Path:
    """A log whose requests came by a wave, of five visitors with names of their own."""
    arrivals = arrivals_from_load(parse_shape(wave, "requests/s"), 2)
    lines = []
    for i, t in enumerate(np.concatenate([chunk.times_s for chunk in arrivals]).astype(int).tolist()):
        clock = f"{10 + t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}"
        lines.append(
            f"203.0.113.{i % 5} - grace.hopper{i % 5} [17/May/2026:{clock} +0000] "
            f'"GET {PATHS[i % 4]}?token=s3cret{i} HTTP/1.1" {500 if i % 50 == 0 else 200} 512 "-" "Agent/{i % 5}"\n'
        )
    path.write_text("".join(lines))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a user has it, and the place from which commands run: manifests, a fleet file, a log."""
    shutil.copytree(DATA / "fleet" / "shop" / "k8s", tmp_path / "k8s")
    write_log(tmp_path / "access.log")
    shutil.copy(RATE, tmp_path / "rate.csv")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yaml").write_text(ask("init", "k8s/").stdout)
    return tmp_path


def ask(*args: str | Path) -> Result:
    """A command that ends well, in this process."""
    done = CliRunner().invoke(root, [str(arg) for arg in args], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def told(*args: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask("traffic", *args, "--json").stdout)
    return found


# ---------------------------------------------------------------------------------------------------- the screen


@pytest.mark.parametrize("name", ["access.log", "rate.csv"])
def test_the_screen_is_80_columns_wide_and_ends_with_the_block(folder: Path, name: str) -> None:
    shown = ask("traffic", name).stdout
    report, _, block = shown.partition("\ntraffic:\n")
    assert max(map(len, report.splitlines())) <= 80
    assert len(report.splitlines()) <= 48
    assert "traffic:\n" + block == ask("traffic", name, "--block").stdout
    for label in ("rate", "bursts", "note"):
        assert re.search(rf"^{label} +\S", report, re.MULTILINE)


def test_the_screen_names_the_wave_the_peak_and_the_classes(folder: Path) -> None:
    shown = " ".join(ask("traffic", "access.log").stdout.split())
    assert re.search(r"largest wave [456](\.\d+)?/s to 8\d(\.\d)?/s, begins 10:(19:5|20:0)", shown)
    assert re.search(r"steepest rise [4-9](\.\d+)?/s to [678]\d(\.\d)?/s in \d+ s, at 10:20:", shown)
    assert re.search(r"5 in 5 visits: \d", shown)
    assert re.search(r"5xx 2 % \(all 500\)", shown)
    assert re.search(r"shop-cart 25 % – 4(\.\d+)? % GET /shop/cart ", shown)


def test_the_chart_is_high_where_the_wave_is(folder: Path) -> None:
    lines = ask("traffic", "access.log").stdout.splitlines()
    chart = [line[6:] for line in lines if re.match(r"(\d+/s|  +0|      ) *[█▁▂▃▄▅▆▇░]", line)]
    assert len(chart) >= 2
    found = told("access.log")["columns"]
    middle = int(1260 / found["step_s"])
    assert int(np.argmax(found["means"])) == pytest.approx(middle, abs=2)
    assert chart[0].index("█" if "█" in chart[0] else "░") == pytest.approx(
        middle * (66 // len(found["means"])), abs=4
    )


LINE = '192.0.2.1 - - [{}:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "x"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINE.format("17/May/2015"), "1 request in 1 s"),
        (LINE.format("17/May/2015") * 3 + LINE.format("18/May/2015"), "4 requests in 1 d"),
        (LINE.format("01/Jan/1970") + LINE.format("17/May/2015") * 50, "peak 50/s (17 May 2015 10:05:03)"),
        ("t,rate\n0,0\n1,0\n", "nothing came"),
        ("t,rate\n0,5\n", 'rate: "5/s for 1s"'),
        ("t,rate\n0,0.01\n1e9,7e6\n", "7,000,000/s"),
    ],
)
def test_odd_recordings_are_told_as_they_are(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / ("odd.csv" if text.startswith("t,") else "odd.log")
    path.write_text(text)
    shown = ask("traffic", path).stdout
    assert said in shown
    assert "no wave" in shown
    assert "nan" not in shown


def test_a_terminal_without_the_blocks_gets_plain_characters(folder: Path) -> None:
    done = subprocess.run(
        [*SEAWALL, "traffic", "access.log"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert b" ###" in done.stdout
    assert b"_" * 20 in done.stdout
    assert b"???" not in done.stdout


def test_neither_address_nor_user_nor_query_is_printed(folder: Path) -> None:
    for extra in ((), ("--json",), ("--block",)):
        shown = ask("traffic", "access.log", *extra).output
        for private in ("203.0.113", "grace", "hopper", "s3cret", "token"):
            assert private not in shown


def test_redact_leaves_out_what_paths_give_away(folder: Path) -> None:
    assert (
        "/shop/item/17" in ask("traffic", "access.log").stdout
        or "cart" in ask("traffic", "access.log").stdout
    )
    shown = ask("traffic", "access.log", "--redact", "(?i)SHOP", "--redact", r"logo\.\w+").stdout
    assert "shop" not in shown
    assert "logo" not in shown
    assert "/*" in shown


# --------------------------------------------------------------------------------------------------------- the JSON


def test_the_json_holds_what_the_screen_says(folder: Path) -> None:
    found = told("access.log")
    assert set(found) == {
        *(
            "file",
            "kind",
            "unit",
            "requests",
            "lines",
            "damaged",
            "without_request",
            "began_at",
            "utc_offset_s",
        ),
        *(
            "seconds",
            "step_s",
            "holes",
            "rates",
            "bursts",
            "visitors",
            "mix",
            "columns",
            "replay",
            "described",
        ),
        *("block", "notes"),
    }
    assert found["requests"] == Path("access.log").read_text().count("\n")
    assert found["replay"]["from_s"] < 1200 < 1380 < found["replay"]["from_s"] + found["replay"]["for_s"]
    assert parse_shape(found["described"], "requests/s").peak == pytest.approx(80.0, rel=0.1)
    assert found["bursts"]["wave"]["peak"] == pytest.approx(80.0, rel=0.15)
    assert told("rate.csv")["visitors"] is None


def test_a_packed_log_is_the_same(folder: Path) -> None:
    Path("packed.log.gz").write_bytes(gzip.compress(Path("access.log").read_bytes()))
    plain, packed = told("access.log"), told("packed.log.gz")
    for found in (plain, packed):
        found.pop("file")
        found.pop("block")
    assert plain == packed


# -------------------------------------------------------------------------------------------------------- the block


def test_the_block_makes_traffic_of_a_fleet_that_has_none(folder: Path) -> None:
    """`seawall traffic access.log --block >> fleet.yaml`, where there is no traffic yet."""
    fleet = yaml.safe_load(Path("fleet.yaml").read_text())
    del fleet["traffic"]
    fleet["assumptions"].pop("traffic.users.count")
    Path("bare.yaml").write_text(yaml.safe_dump(fleet))
    with Path("bare.yaml").open("a") as file:
        file.write(ask("traffic", "access.log", "--block", "--for", "3m").stdout)
    recorded = complete(read_fleet("bare.yaml"), "today").file.traffic.recorded
    assert recorded is not None
    assert (recorded.file, recorded.duration) == ("access.log", 180.0)
    verdict = json.loads(ask("simulate", "bare.yaml", "--variant", "more-pods", "--json").stdout.strip())
    assert verdict["variants"][0]["requests"]["sent"] > 1000


@pytest.mark.parametrize("name", ["access.log", "rate.csv"])
def test_write_puts_the_block_into_what_init_made(folder: Path, name: str) -> None:
    before = Path("fleet.yaml").read_text()
    shown = ask("traffic", name, "--for", "2m", "--write", "fleet.yaml").stdout
    assert "the recording takes the place of traffic.users" in shown
    assert "recorded:" not in shown
    after = Path("fleet.yaml").read_text()
    kept = [line for line in before.splitlines() if line in after.splitlines()]
    assert len(kept) > 0.75 * len(before.splitlines())
    fleet = complete(read_fleet("fleet.yaml"), "today").file
    assert fleet.traffic.users is None
    assert fleet.traffic.clients.timeout == 30.0
    assert fleet.traffic.recorded is not None
    classes = ["page"] if name == "rate.csv" else ["static", "shop-cart", "shop-item", "home"]
    assert list(fleet.service.requests) == classes
    verdict = json.loads(ask("simulate", "fleet.yaml", "--json").stdout.strip())
    sent = [variant["requests"]["sent"] for variant in verdict["variants"]]
    expected = told(name, "--for", "2m")["replay"]["requests"]
    assert sent == [pytest.approx(expected, rel=0.05)] * 2


def test_the_described_traffic_can_stand_in_for_the_recorded(folder: Path) -> None:
    block = ask("traffic", "access.log", "--block").stdout
    _, _, rest = block.partition("  # arrivals:\n")
    rate = re.match(r"(  # .*\n)+", rest)
    assert rate is not None
    wave = yaml.safe_load("traffic:\n  arrivals:\n" + rate[0].replace("# ", ""))["traffic"]["arrivals"][
        "rate"
    ]
    found = parse_shape(wave, "requests/s")
    assert found.duration_s == told("access.log")["replay"]["for_s"]
    assert float(found.integral(1e6)) == pytest.approx(told("access.log")["replay"]["requests"], rel=0.05)
    assert len(wave.split(",")) <= 8


def test_a_pipe_cannot_be_replayed_so_it_is_described(folder: Path) -> None:
    command = f"{' '.join(SEAWALL)} traffic <(cat access.log) --kind accesslog --block"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    traffic = yaml.safe_load(done.stdout)["traffic"]
    assert list(traffic) == ["arrivals"]
    assert parse_shape(traffic["arrivals"]["rate"], "requests/s").peak == pytest.approx(80.0, rel=0.15)


def test_options_of_the_reader_are_in_the_block(folder: Path) -> None:
    block = ask(
        "traffic", "access.log", "--block", "--stamp", "end", "--kind", "accesslog", "--from", "90s"
    ).stdout
    recorded = yaml.safe_load(block)["traffic"]["recorded"]
    assert recorded == {
        "file": "access.log",
        "kind": "accesslog",
        "stamp": "end",
        "from": "1m30s",
        "for": "10m",
    }


def test_several_files_are_one_recording_named_by_their_folder_or_a_pattern(folder: Path) -> None:
    lines = Path("access.log").read_text().splitlines(keepends=True)
    Path("logs").mkdir()
    Path("logs/access.1.log").write_text("".join(lines[::2]))
    Path("logs/access.2.log").write_text("".join(lines[1::2]))
    both = ("logs/access.1.log", "logs/access.2.log")
    whole = told("access.log")
    for args, name in (
        (both, "logs"),
        (("logs",), "logs"),
        (("logs/*.log",), "logs/*.log"),
    ):
        found = told(*args)
        for key in ("requests", "rates", "mix", "described", "columns"):
            assert found[key] == whole[key]
        assert yaml.safe_load(found["block"])["traffic"]["recorded"]["file"] == name
    Path("logs/other.log").write_text(lines[0])
    assert yaml.safe_load(told(*both)["block"])["traffic"]["recorded"]["file"] == "logs/access.*.log"
    Path("logs/access.0.log").write_text(lines[0])
    assert list(yaml.safe_load(told(*both)["block"])["traffic"]) == ["arrivals"]


def test_a_format_and_a_session_key_go_into_the_block_and_a_fleet_reads_it_so(folder: Path) -> None:
    form = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D "%{Cookie}i"'
    lines = Path("access.log").read_text().splitlines()
    Path("own.log").write_text("".join(f'{line} 25000 "sid=a{i % 3}"\n' for i, line in enumerate(lines)))
    args = ("own.log", "--log-format", form, "--session", "cookie:sid")
    found = told(*args)
    assert found["visitors"]["visitors"] == 3
    assert found["mix"]["duration_s"]["p50"] == pytest.approx(0.025)
    ask("traffic", *args, "--write", "fleet.yaml")
    recorded = complete(read_fleet("fleet.yaml"), "today").file.traffic.recorded
    assert recorded is not None
    assert (recorded.format, recorded.session) == (form, "cookie:sid")
    assert "time: mean 25 ms, p50 25 ms" in ask("traffic", *args).stdout


def test_times_are_those_of_the_log_s_own_clock(folder: Path) -> None:
    Path("zone.log").write_text(Path("access.log").read_text().replace("+0000]", "+0530]"))
    shown = ask("traffic", "zone.log").stdout
    assert "17 May 2026 10:00:00 to 10:42:59 +05:30; 24,430 lines" in shown
    assert "begins 10:20:0" in shown or "begins 10:19:5" in shown
    replay = told("zone.log", "--from", "10:15", "--for", "5m")["replay"]
    assert (replay["from_s"], replay["for_s"]) == (900.0, 300.0)


def test_columns_of_a_csv_can_be_named(folder: Path) -> None:
    rows = Path("rate.csv").read_text().splitlines()[1:]
    Path("odd.csv").write_text("when,cpu,asked\n" + "".join(f"{row.replace(',', ',9,')}\n" for row in rows))
    args = ("odd.csv", "--time-column", "when", "--rate-column", "asked")
    assert told(*args)["requests"] == told("rate.csv")["requests"]
    recorded = yaml.safe_load(ask("traffic", *args, "--block").stdout)["traffic"]["recorded"]
    assert (recorded["timeColumn"], recorded["rateColumn"]) == ("when", "asked")


def test_a_recording_elsewhere_is_named_from_the_fleet(folder: Path) -> None:
    (folder / "fleets").mkdir()
    shutil.copytree("k8s", "fleets/k8s")
    shutil.move("fleet.yaml", "fleets/fleet.yaml")
    ask("traffic", "access.log", "--write", "fleets/fleet.yaml")
    recorded = complete(read_fleet("fleets/fleet.yaml"), "today").file.traffic.recorded
    assert recorded is not None
    assert recorded.file == "../access.log"


# ---------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere.log"], "nowhere.log: cannot read the file: No such file or directory"),
        (["k8s"], "access log of a known format"),
        (["empty.log"], "empty.log: the file is empty"),
        (["prose.txt"], "neither an access log"),
        (["access.log", "--from", "3h"], "nothing lies at 10800 s"),
        (["access.log", "--for", "0s"], "0s must be above 0"),
        (["access.log", "--for", "soon"], "is not a duration"),
        (["access.log", "--redact", "("], "is no regular expression"),
        (["access.log", "--redact", "x*"], "matches what is empty"),
        (["access.log", "--json", "--block"], "cannot be given together"),
        (["access.log", "--write", "gone.yaml"], "gone.yaml: there is no such file"),
        (["access.log", "--rate-column", "y"], "--rate-column says nothing about a log of requests"),
        (["rate.csv", "--session", "user"], "--session says nothing about a CSV"),
        (["access.log", "--session", "shoes"], "'shoes' is nothing to tell visitors apart by"),
        (["access.log", "--from", "soon"], "--from: 'soon' is no time"),
        (["rate.csv", "--kind", "accesslog"], "no line could be read as a request"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    folder: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    Path("empty.log").write_text("")
    Path("prose.txt").write_text("it was a dark and stormy night\n" * 30)
    assert run(["traffic", *args]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    command = f"set -o pipefail; {' '.join(SEAWALL)} traffic access.log | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "access.log" in done.stdout


def test_the_command_runs_on_its_own(folder: Path) -> None:
    done = seawall("traffic", "rate.csv", "--block", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("traffic:\n")


# ---------------------------------------------------------------------------------------------------------- wording


def test_figures_read_as_people_write_them() -> None:
    assert [span_text(s) for s in (2.5, 59.0, 60.0, 600.0, 3660.0, 300_000.0)] == [
        *("2.5 s", "59 s", "1 min", "10 min"),
        *("1 h 1 min", "3 d 11 h"),
    ]
    assert [share_text(x) for x in (0.0, 5e-5, 0.0021, 0.541, 0.99999, 1.0)] == [
        *("–", "<0.01 %", "0.21 %"),
        *("54.1 %", "99.99 %", "100 %"),
    ]
    assert [size_text(x) for x in (0.0, 999.0, 10_547.0, 1.2e6)] == ["0 B", "999 B", "10.3 KiB", "1.14 MiB"]


def test_a_clock_says_the_date_where_there_is_more_than_one() -> None:
    start = 1_431_857_100.0
    assert Clock(start, 600.0).at(63.0) == "10:06:03"
    assert Clock(start, 1e5).at(63.0) == "17 May 10:06:03"
    assert Clock(start, 600.0, dated=True).at(0.0) == "17 May 2015 10:05:00 UTC"
    assert Clock(None, 600.0).at(63.0) == "1:03"
    assert Clock(1e18, 600.0).at(63.0) == "1:03"


# ------------------------------------------------------------------------------------------------- the page about it

PAGE = (DATA.parent.parent / "docs" / "how-to" / "look-at-recorded-traffic.md").read_text(encoding="utf-8")


def shown_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_shows_what_one_sees(folder: Path) -> None:
    screen, _, described = shown_blocks("text")
    shown = ask("traffic", "access.log").stdout
    assert shown.startswith(screen)
    assert described in shown


def test_the_commands_on_the_page_run(folder: Path) -> None:
    shutil.copy(LOG, "access.log")
    commands = re.findall(r"^\$ (.*)", "".join(shown_blocks("console")), re.MULTILINE)
    assert len(commands) >= 5
    script = "\n".join(["set -e", f'seawall() {{ {" ".join(SEAWALL)} "$@"; }}', *commands])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
