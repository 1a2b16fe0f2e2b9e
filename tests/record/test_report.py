"""The page: self-contained, safe with any text, the same for the same records, and it runs in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seawall.fleet.errors import InputError
from seawall.record.charts import MOST_POINTS
from seawall.record.record import Event, Record
from seawall.record.report import report, write_report
from seawall.record.verdict import verdict

from .sample import ALL, DEFAULT, TUNED, sample, tiny
from .waves import BROKEN, LATE, wave

VOID = {"meta", "line", "path", "input", "br", "link", "img"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """What stands in a page: elements, attributes, and the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.texts:
            self.texts[self.open[-1]][-1] += data
        else:
            self.words.append(data)

    @property
    def data(self) -> dict:
        """What the charts are drawn from."""
        return json.loads(self.texts["script"][0])


@pytest.fixture(scope="module")
def three() -> list[Record]:
    return [sample(shape) for shape in ALL]


@pytest.fixture(scope="module")
def html(three: list[Record]) -> str:
    return report(three)


def test_every_element_is_closed(html: str) -> None:
    page = Page(html)
    assert page.unbalanced == [] and page.open == []


def test_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    loading = {"src", "href", "srcset", "action", "formaction", "poster", "data", "background"}
    found = [(tag, value) for tag, name, value in page.attributes if name in loading]
    assert found and all(value is not None and value.startswith("#") for _, value in found)
    assert not any(re.search(r"url\(|@import|https?:", style) for style in page.texts["style"])
    own_script = page.texts["script"][2]
    assert not re.search(r"https?:|\bfetch\(|XMLHttpRequest|\bimport\b|WebSocket|\beval\(", own_script)


def test_the_policy_lets_only_the_page_s_own_scripts_and_styles_run(html: str) -> None:
    page = Page(html)
    policy = next(
        value for tag, name, value in page.attributes if name == "content" and "default-src" in value
    )
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for text in (*page.texts["script"][1:], *page.texts["style"]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not any(name == "style" or name.startswith("on") for _, name, _ in page.attributes)


def test_the_vendored_library_is_the_one_that_is_named() -> None:
    import seawall.record

    folder = Path(seawall.record.__file__).parent / "assets" / "uplot"
    named = (folder / "README.md").read_text()
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in named


def test_any_text_stays_text() -> None:
    nasty = '</script><script>alert("1")</script><b onclick=x> & $title ${cards} \u2028'
    base = tiny([10, 10], [10, 9], events=(Event(1.0, "no-server", nasty, nasty, {"x": nasty}),))
    words = {
        "fleet": nasty,
        "variant": nasty,
        "notes": {nasty: nasty},
        "warnings": [nasty],
        "currency": nasty,
    }
    words |= {"assumptions": {nasty: nasty}, "defaults": [nasty], "completed": {"description": nasty}}
    record = replace(
        base, description=base.description | words, per_class={nasty: base.totals, "b": base.totals}
    )
    page = Page(report([record]))
    assert len(page.texts["script"]) == 3 and page.unbalanced == []
    assert not any(name == "onclick" for _, name, _ in page.attributes)
    assert page.data["variants"][0]["name"] == nasty
    assert nasty in [event[2] for event in page.data["variants"][0]["events"]]
    assert "".join(page.words).count('alert("1")') > 8


def test_the_same_records_give_the_same_page(three: list[Record], html: str) -> None:
    assert report([sample(shape) for shape in ALL]) == html


def test_verdicts_and_what_they_rest_on_read_without_scripts(html: str) -> None:
    text = " ".join(" ".join(Page(html).words).split())
    assert "tuned stands; default and memory-limit fall." in text
    for words in (
        "Falls",
        "Stands",
        "First cause, 1:36",
        "node-stall",
        "Provisional",
        "platform.imagePull",
        "50 to 60",
    ):
        assert words in text
    assert "oom-kill ×108" in text


def test_three_variants_of_ten_minutes_are_small_enough(html: str) -> None:
    assert len(html.encode()) < 1_000_000


def test_a_long_run_is_drawn_with_a_bounded_number_of_points() -> None:
    data = Page(report([sample(TUNED, bins=5000)])).data
    assert data["step"] == 5.0
    assert all(len(column) == 1000 <= MOST_POINTS for column in data["variants"][0]["columns"].values())


def test_what_a_run_does_not_have_is_not_drawn() -> None:
    data = Page(report([tiny([10, 10], [10, 9])])).data
    assert [chart["name"] for chart in data["charts"]] == ["requests", "served", "latency", "errors"]
    beside = Page(report([tiny([10, 10], [10, 9]), sample(TUNED, bins=100)])).data
    assert "nodes" in [chart["name"] for chart in beside["charts"]]
    assert "nodes" not in beside["variants"][0]["columns"]


def test_bounds_are_drawn_where_they_are_promised(html: str) -> None:
    bounds = Page(html).data["bounds"]
    assert bounds["latency"] == [{"value": 2500.0, "label": "promised", "view": "p99", "variant": None}]
    assert bounds["memory"] == [{"value": 700.0, "label": "limit", "view": None, "variant": 1}]


def test_an_expectation_stands_in_the_table_of_objectives() -> None:
    from seawall.record.expectation import parse_expectation

    record = tiny([10], [10])
    page = Page(report([record], [verdict(record, [parse_expectation("sent > 11")])]))
    assert "sent > 11" in page.words


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", [tiny([10], [10])])
    assert path.read_text() == report([tiny([10], [10])])
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="cannot write the report"):
        write_report(tmp_path / "missing" / "report.html", [tiny([10], [10])])
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write the report"):
        write_report(tmp_path / "folder", [tiny([10], [10])])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "report.html"]


# --------------------------------------------------------------------------------------------- in a browser


def opened(path: Path, profile: Path) -> tuple[str, str]:
    """The page as a browser leaves it after its scripts have run, and what it said on its console."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=2000",
            "--enable-logging=stderr",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_it_runs_in_a_browser_without_a_word_on_its_console(three: list[Record], tmp_path: Path) -> None:
    """All charts are drawn: for three variants, for a run of which nothing was answered, and for waves."""
    empty = tiny([0, 0, 0], [0, 0, 0])
    pages = {"three": three, "empty": [empty, tiny([5], [0])], "waves": [wave(BROKEN), wave(LATE)]}
    for name, records in pages.items():
        path = write_report(tmp_path / f"{name}.html", records)
        dom, said = opened(path, tmp_path / f"profile-{name}")
        assert said == ""
        charts = Page(path.read_text()).data["charts"]
        assert len(charts) > 3 and dom.count("<canvas") == len(charts)
        assert dom.count('role="img"') == len(charts)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_variants_kinds_views_and_zoom_can_be_chosen(tmp_path: Path) -> None:
    """A person's clicks, by a script put into a copy of the page without its policy."""
    html = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report([sample(DEFAULT), sample(TUNED)])
    )
    clicks = """
      const read = () => document.querySelector('.chart .read').textContent;
      const out = [document.querySelectorAll('.mark').length, read()];
      document.querySelector('[data-toggle="0"]').click();
      out.push(document.querySelectorAll('.lane').length, document.querySelectorAll('.events tr:not([hidden])').length);
      for (const box of document.querySelectorAll('#kinds input:checked')) box.click();
      out.push(document.querySelectorAll('.mark').length);
      [...document.querySelectorAll('.views button')].find((b) => b.textContent === 'p50').click();
      out.push(document.querySelector('.views button[aria-pressed="true"]').textContent);
      document.querySelectorAll('.events .go')[3].click();
      out.push(document.getElementById('reset').hidden);
      document.getElementById('theme').click();
      out.push(document.documentElement.dataset.theme);
      document.title = JSON.stringify(out);
    """
    path = tmp_path / "driven.html"
    path.write_text(html.replace("</body>", f"<script>{clicks}</script></body>"))
    dom, said = opened(path, tmp_path / "profile")
    assert said == ""
    marks, at_rest, lanes, rows, none, view, whole, theme = json.loads(
        re.search(r"<title>(.*?)</title>", dom).group(1)
    )
    assert marks > 10 and at_rest == "highest1,0001,000"
    assert lanes == 2 and rows == 1 + 8
    assert (none, view, whole, theme) == (0, "p50", False, "dark")
