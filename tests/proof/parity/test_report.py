"""The report in a real browser: what it shows, that it needs no network, and that nothing in a name is obeyed."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torch2flow.errors import OutputError

pytest.importorskip("jinja2", reason="the extra `report` is not installed")

from torch2flow.proof.parity.report import write_report  # noqa: E402
from torch2flow.proof.parity.report.layout import module_tree, position, short  # noqa: E402

HOSTILE = "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">"


def measure(name: str = "0", ratio: float = 1.0, verdict: str = "within noise", **more: Any) -> dict[str, Any]:
    """A tensor as `presenting.measure_row` gives it."""
    return {
        "name": name, "verdict": verdict, "error": ratio * 1e-7, "noise": 1e-7, "scale": 1.0, "ratio": ratio,
        "relative": ratio * 1e-7, "double": None, "fault": "", "likely": [], **more,
    }  # fmt: skip


def module(path: str, ratio: float = 1.0, verdict: str = "within noise", **more: Any) -> dict[str, Any]:
    """A call of a module as `presenting.module_rows` gives it."""
    row = {"path": path, "class": "Linear", "call": 0, "inputs": None, "failure": ""}
    return {**row, "end_to_end": measure(ratio=ratio), "own": measure(ratio=ratio, verdict=verdict), **more}


def result(**changes: Any) -> dict[str, Any]:
    """What `Verification.to_json` gives."""
    histogram = {"edges": list(range(-18, 5)), "found": [0.0] * 10 + [5.0] + [0.0] * 11, "noise": [1.0] * 22}
    return {
        "verdict": "within noise", "sentence": "All 9 tensors are fine.", "likely": [], "first": None, "failures": {},
        "model": {"folder": "out", "class": "Net", "tensors": 3, "elements": 1234, "bytes": 4936,
                  "dtypes": {"float32": 3}, "ties": [["a.weight", "b.weight"]], "changes": ["c: was bfloat16"]},
        "versions": {"torch2flow": "0.1.0", "torch": "2.13.0", "oneflow": "0.9.0"},
        "repeat": "torch2flow verify out", "settings": {"limit": 3.0, "exact": 1e-9}, "seconds": 1.5,
        "parts": [
            {"name": "outputs", "title": "outputs", "verdict": "within noise", "ratio": 1.0,
             "tensors": [measure(histogram=histogram)]},
            {"name": "gradients", "title": "gradients", "verdict": "within noise", "ratio": 1.0,
             "tensors": [measure(f"layer{n}.weight", ratio=float(n)) for n in range(40)]},
        ],
        "modules": [module("stem"), module("body.0.fc"), module("body.0"), module("body.1.fc"), module("body.1")],
        "unmatched": {"pytorch": ["drop"], "oneflow": []},
        **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """`opened(**changes)` is the browser with the page of such a result."""

    def open_page(size: tuple[int, int] = (1200, 900), dark: bool = False, **changes: Any) -> Any:
        path = tmp_path / "report.html"
        write_report(result(**changes), path, overwrite=True)
        browser.get_log("performance")
        browser.get_log("browser")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(path.as_uri())
        return browser

    return open_page


def texts(browser: Any, selector: str) -> list[str]:
    return [each.text for each in browser.find_elements("css selector", selector) if each.is_displayed()]


def test_the_page_shows_the_verdict_and_every_part(opened: Callable[..., Any]) -> None:
    page = opened()
    assert texts(page, "#verdict strong") == ["✓ Within noise"]
    assert texts(page, ".summary th[scope=row]") == ["outputs", "gradients", "layers, one by one"]
    assert len(texts(page, "#part-gradients + .card tbody tr")) == 15
    assert texts(page, "#part-gradients + .card tbody th")[0] == "layer39.weight", "the worst comes first"
    drawn = [each.get_attribute("id") for each in page.find_elements("css selector", ".chart:has(svg)")]
    assert drawn == ["depth", "histogram-0"]
    assert "a.weight = b.weight" in page.page_source and "drop" in page.page_source


def test_the_page_asks_for_nothing_and_complains_of_nothing(opened: Callable[..., Any]) -> None:
    page = opened()
    requests = [json.loads(row["message"])["message"] for row in page.get_log("performance")]
    urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
    assert page.get_log("browser") == []


def test_only_what_matters_is_unfolded(opened: Callable[..., Any]) -> None:
    assert texts(opened(), "#tree .name") == ["stem", "body"]
    bad = [module("stem"), module("body.0.fc", 1e4, "different"), module("body.0"), module("body.1.fc")]
    found = opened(verdict="different", likely=["an eps"], sentence="`body.0.fc` is wrong.", modules=bad)
    assert texts(found, "#tree .name") == ["stem", "body", "0", "fc", "1"]
    assert texts(found, "#likely li") == ["likely: an eps"]
    assert texts(found, "#verdict code") == ["body.0.fc"]


def test_a_module_is_found_by_its_path(opened: Callable[..., Any]) -> None:
    page = opened()
    search = page.find_element("id", "search")
    search.send_keys("1.fc")
    assert texts(page, "#tree .name") == ["body", "1", "fc"]
    assert texts(page, "#hits") == ["1 found"]
    page.execute_script("s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
    assert texts(page, "#tree .name") == ["stem", "body"]


def test_dark_is_dark_and_light_is_light(opened: Callable[..., Any]) -> None:
    def colours(page: Any) -> tuple[str, str]:
        ink = page.execute_script("return getComputedStyle(document.querySelector('#depth .xtitle')).fill")
        return page.execute_script("return getComputedStyle(document.body).backgroundColor"), ink

    light, dark = colours(opened()), colours(opened(dark=True))
    assert light == ("rgb(251, 251, 250)", "rgb(28, 33, 40)")
    assert dark == ("rgb(20, 23, 27)", "rgb(230, 232, 235)")


def test_a_phone_shows_it_without_scrolling_sideways(opened: Callable[..., Any]) -> None:
    page = opened(size=(390, 800))
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390


def test_printing_unfolds_everything(opened: Callable[..., Any]) -> None:
    page = opened()
    closed = "return [...document.querySelectorAll('details')].filter(each => !each.open).length"
    assert page.execute_script(closed) > 0
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script(closed) == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script(closed) > 0
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF") and len(printed) > 20_000


def test_names_out_of_files_are_text(opened: Callable[..., Any]) -> None:
    page = opened(
        sentence=f"`{HOSTILE}` differs", likely=[HOSTILE], failures={HOSTILE: HOSTILE}, repeat=HOSTILE,
        modules=[module(f"body.{HOSTILE.replace('.', '')}", failure=HOSTILE)],
        unmatched={"pytorch": [HOSTILE], "oneflow": []},
        parts=[{"name": "outputs", "title": HOSTILE, "verdict": "different", "ratio": 1.0,
                "tensors": [measure(HOSTILE, fault=HOSTILE, likely=[HOSTILE],
                                    histogram={"edges": [0, 1], "found": [1.0], "noise": [1.0]})]}],
    )  # fmt: skip
    assert "obeyed" not in page.title
    assert page.find_elements("css selector", "img") == []
    assert page.get_log("browser") == []


def test_numbers_that_are_none_are_shown(opened: Callable[..., Any]) -> None:
    nan, infinite = float("nan"), float("inf")
    odd = measure(
        ratio=infinite, verdict="different", error=infinite, relative=nan, double=infinite, fault="shape (3,)"
    )
    page = opened(modules=[module("a", nan)], parts=[
        {"name": "outputs", "title": "outputs", "verdict": "different", "ratio": infinite, "tensors": [odd]}
    ])  # fmt: skip
    assert "∞" in page.page_source and page.get_log("browser") == []


def test_two_thousand_modules_open_soon(opened: Callable[..., Any]) -> None:
    page = opened(modules=[module(f"layers.{n // 10}.part{n % 10}") for n in range(2000)])
    timing = "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd - t.startTime"
    assert page.execute_script(timing) < 10_000
    assert len(page.find_elements("css selector", "#tree li")) == 2000 + 200 + 1


def test_without_layers_and_training_there_is_a_page_too(opened: Callable[..., Any]) -> None:
    page = opened(modules=[], parts=[])
    assert texts(page, "#verdict strong") == ["✓ Within noise"] and page.get_log("browser") == []


def test_two_thousand_tensors_take_less_than_a_megabyte(tmp_path: Path) -> None:
    names = [f"model.layers.{n // 20}.self_attn.part{n % 20}.weight" for n in range(2000)]
    many = [measure(name, ratio=1.2345 + n, likely=["another eps in a normalization"]) for n, name in enumerate(names)]
    gradients = {"name": "gradients", "title": "gradients", "verdict": "within noise", "ratio": 1.0, "tensors": many}
    modules = [module(f"model.layers.{n // 8}.self_attn.part{n % 8}") for n in range(300)]
    write_report(result(parts=[gradients], modules=modules), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_what_is_fine_is_accused_of_nothing(tmp_path: Path) -> None:
    """Causes of a row that float64 cleared stay in the JSON, and out of the page."""
    rows = [
        measure("cleared", double=1e-12, likely=["another eps"]),
        measure("wrong", 9e3, "different", likely=["a scale"]),
    ]
    part = {"name": "gradients", "title": "gradients", "verdict": "different", "ratio": 1.0, "tensors": rows}
    write_report(result(parts=[part]), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "another eps" not in page and "a scale" in page


# -- without a browser -------------------------------------------------------------------------------------------


def test_a_page_that_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        write_report(result(), Path("/proc/missing/report.html"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        write_report(result(), tmp_path / "folder", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_only_a_report_is_replaced_by_a_report(tmp_path: Path) -> None:
    (tmp_path / "thesis.html").write_text("<p>mine")
    write_report(result(), tmp_path / "report.html")
    for name, overwrite in (("thesis.html", True), ("thesis.html", False), ("report.html", False)):
        with pytest.raises(OutputError, match="The output exists"):
            write_report(result(), tmp_path / name, overwrite=overwrite)
    write_report(result(), tmp_path / "report.html", overwrite=True)
    assert (tmp_path / "thesis.html").read_text() == "<p>mine"


def test_modules_are_a_tree_in_the_order_of_their_calls() -> None:
    tree = module_tree([module("b.10"), module("b.9", 5.0, "elevated"), module("a")])
    assert [(node.path, node.open) for node in tree] == [("b", True), ("a", False)]
    assert [node.name for node in tree.children["b"]] == ["10", "9"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0"),
        (1.0, "1.00"),
        (12345.6, "12,346"),
        (1e9, "1.0e+09"),
        (2e-7, "2.0e-07"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_are_short(number: float | None, text: str) -> None:
    assert short(number) == text


def test_a_bar_grows_with_the_power_of_ten() -> None:
    assert [position(ratio) for ratio in (0, 0.001, 0.01, 1, 1e6, 1e20, float("inf"))] == [0, 0, 0, 25, 100, 100, 100]
