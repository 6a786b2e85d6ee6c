"""The page in Chromium: no console error, nothing asked for, tables sort, search and map work.

A script appended to the page acts as the reader would and writes what it saw into the document,
which Chromium prints (`--dump-dom`).
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlcoop.comparison import compare
from mlcoop.report.render import render_comparison, render_report
from mlcoop.schema import Experiment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --enable-logging=stderr "
    "--disable-background-networking --disable-component-update --disable-sync --dump-dom "
    "--disable-dev-shm-usage --virtual-time-budget=4000"
)
ACT = """
<script>
const seen = {};
const rows = (id) => Array.from(document.querySelectorAll("#" + id + " tbody tr"));
const head = (id, key) => document.querySelector("#" + id + " th[data-key=" + key + "] button");
const values = (id, key) => {
  const place = Array.from(document.querySelectorAll("#" + id + " th"))
    .findIndex((h) => h.dataset.key === key);
  return rows(id).filter((r) => !r.hidden).map((r) => r.cells[place].dataset.v);
};
%s
const out = document.createElement("pre");
out.id = "seen";
out.textContent = JSON.stringify(seen);
document.body.append(out);
</script>
"""


def act(page: str, script: str, folder: Path, width: int = 1200) -> dict[str, Any]:
    """Open a page, run `script` in it, and return what it put into `seen`."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", ACT % script + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS.split(),
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},900",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


def test_tables_sort_search_and_follow_the_map(study: Experiment, tmp_path: Path) -> None:
    """Truth: forecast.csv sorted and searched with pandas."""
    script = """
    head("forecast", "last_observed").click();
    seen.down = values("forecast", "last_observed");
    head("forecast", "last_observed").click();
    seen.up = values("forecast", "last_observed");
    seen.aria = document.querySelector("#forecast th[data-key=last_observed]")
      .getAttribute("aria-sort");
    const input = document.querySelector("input[data-table=forecast]");
    input.value = "korea kaz"; input.dispatchEvent(new Event("input"));
    seen.none = values("forecast", "country_a").length;
    input.value = "kazakh"; input.dispatchEvent(new Event("input"));
    seen.one = values("forecast", "country_b");
    input.value = ""; input.dispatchEvent(new Event("input"));
    document.querySelector("svg.map [data-code=SGP]").dispatchEvent(new Event("click"));
    seen.map = values("forecast", "country_b");
    seen.requests = performance.getEntriesByType("resource").map((e) => e.name);
    """
    seen = act(render_report(study), script, tmp_path)
    counts = sorted(study.forecast["last_observed"], reverse=True)
    assert [float(v) for v in seen["down"]] == counts
    assert [float(v) for v in seen["up"]] == counts[::-1]
    assert seen["aria"] == "ascending"
    assert (seen["none"], seen["one"], seen["map"]) == (0, ["KAZ"], ["SGP"])
    assert seen["requests"] == []


def test_one_country_at_a_time(study: Experiment, tmp_path: Path) -> None:
    """Truth: forecast.csv; the largest dozen pairs at first, then those of the country chosen."""
    script = """
    const fans = () => Array.from(document.querySelectorAll(".fans .cell"))
      .filter((c) => c.getClientRects().length).map((c) => c.dataset.a + " " + c.dataset.b);
    const list = document.getElementById("country");
    const pick = (code) => { list.value = code; list.dispatchEvent(new Event("change")); };
    seen.first = fans();
    document.querySelector(".fans").parentElement.querySelector("button").click();
    seen.all = fans().length;
    pick("KAZ");
    seen.fans = fans();
    seen.rows = values("forecast", "country_b");
    seen.aside = document.querySelectorAll("svg.map .aside").length;
    const shown = [];
    const Old = Blob;
    URL.createObjectURL = () => "#saved";
    HTMLAnchorElement.prototype.click = function () { seen.saved = this.download; };
    window.Blob = function (parts, type) { shown.push(parts[0]); return new Old(parts, type); };
    document.querySelector(".fans").parentElement.querySelector("button[data-svg]").click();
    const sheet = new DOMParser().parseFromString(shown[0], "image/svg+xml").documentElement;
    seen.sheet = [sheet.nodeName, sheet.querySelectorAll("svg").length];
    pick("");
    seen.back = values("forecast", "country_b").length;
    seen.options = Array.from(list.options).map((o) => o.value).slice(1);
    """
    seen = act(render_report(study), script, tmp_path)
    pairs = study.forecast.sort_values("predicted", ascending=False)
    ordered = [f"{a} {b}" for a, b in zip(pairs["country_a"], pairs["country_b"], strict=True)]
    assert seen["first"] == ordered[:12] and seen["all"] == len(ordered)
    assert seen["fans"] == ["CHN KAZ"] and seen["rows"] == ["KAZ"]
    assert seen["aside"] > 40
    assert seen["saved"] == "china-bri-forecast.svg" and seen["sheet"] == ["svg", 1]
    assert seen["back"] == len(ordered)
    assert sorted(seen["options"]) == sorted({*pairs["country_a"], *pairs["country_b"]} - {"CHN"})


def test_ends_with_a_space_in_their_name_are_found(study: Experiment, tmp_path: Path) -> None:
    """Truth: forecast.csv; the ends of a ready panel may be towns."""
    towns = {"CHN": "New York", "KAZ": "Los Angeles", "SGP": "New Haven"}
    tables = {
        k: getattr(study, k).replace({"country_a": towns, "country_b": towns})
        for k in ("forecast", "backtest")
    }
    script = """
    const list = document.getElementById("country");
    list.value = "Los Angeles"; list.dispatchEvent(new Event("change"));
    seen.fans = Array.from(document.querySelectorAll(".fans .cell"))
      .filter((c) => c.getClientRects().length).map((c) => [c.dataset.a, c.dataset.b]);
    """
    seen = act(render_report(dataclasses.replace(study, **tables)), script, tmp_path)
    assert [set(pair) for pair in seen["fans"]] == [{"New York", "Los Angeles"}]


def test_csv_and_svg_are_made_in_the_page(study: Experiment, tmp_path: Path) -> None:
    """Truth: factors.csv; the drawing is XML of its own with colours inside."""
    script = """
    const saved = [];
    const blobs = [];
    URL.createObjectURL = (blob) => { blobs.push(blob); return "#saved"; };
    HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };
    const csv = [];
    const Old = Blob;
    window.Blob = function (parts, type) { csv.push(parts[0]); return new Old(parts, type); };
    document.querySelector("button[data-csv=factors]").click();
    document.querySelector("#factors-ranking button[data-svg]").click();
    seen.saved = saved;
    seen.csv = csv[0];
    const drawing = new DOMParser().parseFromString(csv[1], "image/svg+xml");
    seen.root = drawing.documentElement.nodeName;
    seen.fill = drawing.querySelector("circle.dot").style.fill;
    seen.title = drawing.querySelector("title").textContent;
    """
    seen = act(render_report(study), script, tmp_path)
    assert seen["saved"] == ["china-bri-factors.csv", "china-bri-ranking.svg"]
    lines = seen["csv"].strip().split("\r\n")
    assert lines[0].startswith("rank,factor,label,group,role,tier,rank_low")
    assert len(lines) == len(study.factors) + 1
    first = study.factors.iloc[0]
    assert lines[1].startswith(f"1,{first['factor']},")
    assert str(first["share"]) in lines[1]
    assert seen["root"] == "svg" and seen["fill"].startswith("rgb")
    assert first["group"].capitalize() in seen["title"]


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_runs_over_the_edge(study: Experiment, tmp_path: Path, width: int) -> None:
    """Truth: the document is no wider than its window; the cut for that width is the one shown."""
    script = """
    seen.wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const shown = (cls) => document.querySelector(cls).getClientRects().length > 0;
    seen.shown = [shown(".wide"), shown(".narrow")];
    seen.width = innerWidth;
    """
    seen = act(render_report(study), script, tmp_path, width)
    assert seen["wider"] <= 0
    assert seen["shown"] == [seen["width"] > 620, seen["width"] <= 620]


def test_contrast_in_light_and_dark(study: Experiment, tmp_path: Path) -> None:
    """Truth: WCAG 2.1: text at least 4.5 to 1 against its ground, in either theme."""
    script = """
    const light = (rgb) => {
      const c = rgb.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    };
    const ratio = (a, b) => {
      const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
      return (x + 0.05) / (y + 0.05);
    };
    for (const theme of ["light", "dark"]) {
      document.documentElement.dataset.theme = theme;
      const ground = getComputedStyle(document.body).backgroundColor;
      const worst = {};
      for (const what of ["p", ".lead", ".asked", "th", "td", "a", "figcaption", "caption",
                          ".trust li", "summary", "svg .tick", "svg .label", ".warnings li"]) {
        const node = document.querySelector(what);
        const style = getComputedStyle(node);
        const own = node.closest("svg") ? style.fill : style.color;
        const under = what === ".warnings li"
          ? getComputedStyle(document.querySelector(".warnings")).backgroundColor : ground;
        worst[what] = ratio(own, under);
      }
      seen[theme] = worst;
    }
    """
    seen = act(render_report(study), script, tmp_path)
    for theme in ("light", "dark"):
        assert {k: round(v, 2) for k, v in seen[theme].items() if v < 4.5} == {}


def test_a_comparison_opens(study: Experiment, simulated_study: Experiment, tmp_path: Path) -> None:
    script = """
    seen.lines = document.querySelectorAll(".wide svg.bump .line").length;
    head("agreements", "rbo").click();
    seen.sorted = document.querySelector("#agreements th[aria-sort]").dataset.key;
    seen.wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    """
    seen = act(render_comparison(compare([study, simulated_study])), script, tmp_path, 390)
    assert seen["lines"] > 30 and seen["sorted"] == "rbo" and seen["wider"] <= 0


def test_everything_works_by_keyboard(study: Experiment, tmp_path: Path) -> None:
    """Truth: HTML's own controls take focus and keys; what a click on the map does, a list does."""
    script = """
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
    const controls = Array.from(document.querySelectorAll("button, select, input, summary, a"));
    const shown = controls.filter((c) => c.getClientRects().length && !c.closest(".skip"));
    seen.missed = shown.filter((c) => {
      c.focus(); return document.activeElement !== c || c.tabIndex < 0;
    }).map((c) => c.outerHTML);
    seen.controls = shown.length;
    seen.nameless = shown.filter((c) => !(c.textContent.trim() || c.getAttribute("aria-label")
      || (c.labels && c.labels.length))).map((c) => c.outerHTML);
    const codes = (what) => Array.from(document.querySelectorAll(what)).map((e) => e.dataset.code
      || e.value).sort();
    seen.lands = codes("svg.map [data-code]");
    seen.listed = codes("#country option");
    seen.scrolls = Array.from(document.querySelectorAll(".scroll"))
      .filter((d) => d.scrollHeight > d.clientHeight + 4 && d.tabIndex < 0).length;
    const button = head("forecast", "predicted");
    button.focus(); button.click();
    seen.kept = document.activeElement === button;
    """
    seen = act(render_report(study), script, tmp_path)
    assert seen["controls"] > 50 and seen["missed"] == [] and seen["nameless"] == []
    assert set(seen["lands"]) <= set(seen["listed"])
    assert seen["scrolls"] == 0 and seen["kept"]


def test_pointing_tells_the_numbers(study: Experiment, tmp_path: Path) -> None:
    """Truth: factors.csv, forecast.csv and the comparison's table of ranks, rounded here."""
    point = """
    const tip = () => document.getElementById("tip");
    const point = (what) => {
      document.querySelector(what).dispatchEvent(new MouseEvent("pointermove",
        { bubbles: true, clientX: 300, clientY: 300 }));
      return tip().style.visibility === "visible" ? tip().textContent : "";
    };
    """
    script = """
    seen.land = point("svg.map [data-code=SGP]");
    seen.curve = point(".wide svg.effects .ghost");
    seen.row = point(".wide svg.ranking .row rect");
    """
    seen = act(render_report(study), point + script, tmp_path)
    table = study.forecast.set_index("country_b")
    assert f"Singapore: {table.loc['SGP', 'predicted']:,.0f} works expected in 2022" in seen["land"]
    assert " at " in seen["curve"] and "%" in seen["curve"]
    assert f"{100 * study.factors.iloc[0]['share']:.0f} %" in seen["row"]
    windows = [dataclasses.replace(study, name=f"{y}-{y + 7}") for y in (2001, 2003, 2005)]
    page = render_comparison(compare(windows), title="Windows", over_time=True)
    script = """
    seen.band = point(".wide svg.stream .hit");
    seen.line = point(".wide svg.bump .dot");
    seen.bands = document.querySelectorAll(".wide svg.stream .flow").length;
    """
    seen = act(page, point + script, tmp_path)
    first = study.groups.iloc[0]
    assert f", 2001-2008: {100 * first['share']:.0f} % (" in seen["band"]
    assert seen["band"].endswith("rank 1") and "rank" in seen["line"]
    assert seen["bands"] == len(study.groups)
