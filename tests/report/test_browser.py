"""The page of a report in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seal_env.panels import Panel
from seal_env.report.page.charts import Chart, Line, Point
from seal_env.report.page.content import SORTS, Call, Card, Page, Rows, Run, TaskLine
from seal_env.report.page.plots import COLOURS
from seal_env.report.page.render import render
from tests.helpers.browser import Browser, open_browser
from tests.helpers.texts import HOSTILE

pytestmark = pytest.mark.integration

SCRIPTS = (
    "</script></style></pre></textarea><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>"
    "<a href='javascript:alert(1)'>a</a><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>{{ 7 * 7 }}"
)
LONG_NAME = "a-very-long-name-without-any-blank-" * 8


def curve(names: tuple[str, ...], small: bool = False, count: int = 5) -> Chart:
    lines = (
        Line(name, tuple(Point(float(x), x / count, x / count / 2, 1.0) for x in range(count)), number, dashed=number == 1)
        for number, name in enumerate(names)
    )
    return Chart(f"Curve of {names[0]}", "round", "accuracy, %", tuple(lines), share=True, small=small)


def card(number: int, text: str = "text", whole: bool = True) -> Card:
    kinds = ("rose", "fell", "same", "mistake")
    ranks = dict(zip(SORTS, (number % 3, -number, number, number * 7 % 5, -number), strict=True))
    grid = ((0, 1, 2), (3, 4, 5), (6, 7, 8 + number % 2))
    line = Card(f"{'AB'[number % 2]}, episode {number}, {text}", kinds[number % 4], text, number % 2, ranks, whole=False)
    if not whole:
        return line
    return replace(
        line,
        whole=True,
        facts={"reward": text, text: "1.00"},
        demonstrations=[[Panel("input", grid), Panel("output", grid)]],
        answers=[[Panel("question", text), Panel("answer after", text, right=False), Panel("gold", text)]] * 2
        if number % 2
        else [[Panel("test input", grid), Panel("prediction", None, right=False), Panel("prediction", grid, right=True)]],
        calls=[Call(text, [(text, text)], [(text, [text, text], 3)])],
        actions=[text],
        reason=text,
        losses=Chart("Training loss", "optimizer step", "loss", (Line("loss", (Point(1, 2), Point(2, 1))),), small=True),
        retention=[[0.0, None], [1.0, 0.5]],
    )


def page(text: str = "text", **about: Any) -> Page:
    rows = Rows((text, "accuracy, %", "reward"), [[text, "50 [25, 75]", "0.50 [0.25, 0.75]"]] * 2, text)
    runs = [Run(name, f"runs/{text}", f"seal-env run, {text}", finished=True, settings={text: text}) for name in "AB"]
    content = Page(
        title=f"report of {text}",
        runs=runs,
        version="1",
        different=rows,
        tables={"Summary": rows, text: rows},
        more_tables={"Cost": rows},
        curves=[curve((text, "base"))],
        choices=[curve((text, "B"), small=True)] * 8,
        tasks=[TaskLine(text, 0.25, {0: 1.0, 1: 0.0}), TaskLine("other", None, {0: 0.5})],
        matrices={text: [[0.0, None, 1.0] * 4] * 3},
        cards=[card(number, text, whole=number < 6) for number in range(12)],
        episodes=12,
    )
    return replace(content, **about)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Page], Path]:
    def write(content: Page) -> Path:
        path = tmp_path / "page.html"
        path.write_text(render(content), encoding="utf-8")
        return path

    return write


def too_wide(shown: Any) -> list[str]:
    """Elements that stick out of the window, unless they can be scrolled."""
    return list(
        shown.evaluate(
            """() => [...document.querySelectorAll("body *")]
                .filter(each => !each.closest(".wide, pre") && each.getBoundingClientRect().right > innerWidth + 1)
                .map(each => each.outerHTML.slice(0, 80))"""
        )
    )


@pytest.mark.parametrize("text", ["text", LONG_NAME])
def test_page_loads_nothing_else_has_no_error_and_fits_the_window(
    browser: Browser, written: Callable[[Page], Path], text: str
) -> None:
    path = written(page(text))
    with browser.showing(path) as shown:
        shown.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
        for width in (1280, 400):
            shown.set_viewport_size({"width": width, "height": 900})
            assert too_wide(shown) == []
            assert shown.evaluate("() => document.documentElement.scrollWidth") <= width
    assert browser.errors == []
    assert browser.requests == [path.as_uri()]


def test_texts_of_models_are_shown_and_do_nothing(browser: Browser, written: Callable[[Page], Path]) -> None:
    texts = [SCRIPTS, *(text[:500] for text in HOSTILE.values())]
    path = written(page(SCRIPTS, cards=[card(number, text) for number, text in enumerate(texts)]))
    with browser.showing(path) as shown:
        shown.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
        shown.wait_for_timeout(50)
        tags = shown.evaluate("() => [...new Set([...document.querySelectorAll('*')].map(each => each.localName))]")
        assert not {"script", "img", "a", "textarea", "iframe"} & set(tags)
        assert shown.locator("meta[http-equiv=refresh]").count() == 0
        assert shown.locator(".card").count() == len(texts)
        assert shown.locator("footer").is_visible()
        everything = shown.inner_text("body")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", everything)
        assert everything.count("<script>alert(1)</script>") > 10
    assert browser.errors == []
    assert browser.requests == [path.as_uri()]


def in_order(shown: Any) -> list[int]:
    """Numbers of the episodes that are shown, from above."""
    found = shown.locator(".card:visible").evaluate_all(
        "all => all.map(each => [each.getBoundingClientRect().y, each.textContent.match(/episode (\\d+)/)[1]])"
    )
    return [int(number) for _, number in sorted(found, key=lambda each: float(each[0]))]


def test_episodes_are_sorted(browser: Browser, written: Callable[[Page], Path]) -> None:
    content = page()
    with browser.showing(written(content)) as shown:
        assert in_order(shown) == list(range(12))
        for name, words in SORTS.items():
            shown.get_by_label(words).check()
            assert in_order(shown) == sorted(range(12), key=lambda number: content.cards[number].ranks[name]), name


def test_episodes_are_filtered_by_run_and_by_what_became_of_them(browser: Browser, written: Callable[[Page], Path]) -> None:
    with browser.showing(written(page())) as shown:
        shown.get_by_role("group", name="Run").get_by_label("B", exact=True).check()
        assert in_order(shown) == [1, 3, 5, 7, 9, 11]
        shown.get_by_label(re.compile("mistakes")).check()
        assert in_order(shown) == [3, 7, 11]
        shown.get_by_role("group", name="Run").get_by_label("all").check()
        shown.get_by_label(re.compile("no change")).check()
        assert in_order(shown) == [2, 6, 10]


def test_cards_open_by_mouse_and_keyboard(browser: Browser, written: Callable[[Page], Path]) -> None:
    with browser.showing(written(page())) as shown:
        cards = shown.locator("details.card")
        assert [cards.nth(index).get_attribute("open") is not None for index in range(3)] == [True, False, False]
        table = cards.nth(1).locator("table.qa")
        assert not table.is_visible()
        cards.nth(1).locator("summary").first.click()
        assert table.is_visible()
        assert "wrong" in table.inner_text()
        cards.nth(2).locator("summary").first.press("Enter")
        assert cards.nth(2).locator("svg.grid").first.is_visible()
        assert shown.locator("div.card").first.inner_text().startswith("A, episode 6")


def light(colour: str) -> float:
    """Relative luminance, as WCAG defines it, of `rgb(1, 2, 3)`."""
    linear = [
        value / 12.92 if (value := int(part) / 255) <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for part in re.findall(r"\d+", colour)[:3]
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_texts_stand_out_from_a_light_and_a_dark_page(
    browser: Browser, written: Callable[[Page], Path], scheme: str
) -> None:
    names = tuple(str(number) for number in range(len(COLOURS)))
    with browser.showing(written(page(curves=[curve(names)])), color_scheme=scheme) as shown:
        ground = light(shown.locator("figure").first.evaluate("each => getComputedStyle(each).backgroundColor"))
        assert (ground > 0.5) == (scheme == "light")
        chart = shown.locator("svg.chart").first
        strokes = chart.locator("path").evaluate_all("all => all.map(each => getComputedStyle(each).stroke)")
        texts = chart.locator("text").evaluate_all("all => all.map(each => getComputedStyle(each).fill)")
        contrast = [
            (max(each, ground) + 0.05) / (min(each, ground) + 0.05) for each in map(light, {*strokes, *texts} - {"none"})
        ]
        assert len([each for each in contrast if each >= 4]) == len(COLOURS) + 1
        assert chart.get_attribute("aria-label")


def test_page_that_is_written_again_is_loaded_again(browser: Browser, written: Callable[[Page], Path]) -> None:
    with browser.showing(written(page("first", refresh=1))) as shown:
        written(page("second", refresh=1))
        shown.get_by_role("heading", name="report of second").wait_for(timeout=20_000)
        written(page("last"))
        shown.get_by_role("heading", name="report of last").wait_for(timeout=20_000)
        assert shown.locator("meta[http-equiv=refresh]").count() == 0
    assert browser.errors == []


@pytest.mark.slow
def test_page_of_ten_thousand_episodes_can_be_used(
    browser: Browser, written: Callable[[Page], Path], record_property: Callable[[str, object], None]
) -> None:
    path = written(page(cards=[card(number, whole=number % 50 == 0) for number in range(10_000)], episodes=10_000))
    with browser.showing(path) as shown:
        loaded = shown.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
        took, above = shown.evaluate(
            """() => {
                const begun = performance.now(), cards = document.querySelectorAll(".card");
                document.querySelector("#sort-gain").click();
                const [first, last] = [cards[0], cards[9999]].map(each => each.getBoundingClientRect().y);
                return [(performance.now() - begun) / 1000, last < first];
            }"""
        )
    assert above
    mebibytes = path.stat().st_size / 2**20
    for name, value in (("MiB", mebibytes), ("seconds to load", loaded), ("seconds to sort", took)):
        record_property(name, value)
        print(f"{name}: {value:.2f}")
    assert mebibytes < 10
    assert max(loaded, took) < 30
