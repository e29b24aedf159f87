"""The report of runs in a browser."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.pages.conftest import WAIT_SECONDS, Browser
from tests.run_cases import ABSENT, MARKUP, NAMES

SHOWN = "return document.querySelector('#curve-charts .chart').data.map(({name}) => name)"


@pytest.fixture
def page(chromium: Browser, runs: Path) -> Browser:
    chromium.open(runs)
    return chromium


def texts(page: Browser, selector: str) -> list[str]:
    return [element.text for element in page.driver.find_elements(By.CSS_SELECTOR, selector)]


def column(page: Browser, table: str, number: int) -> list[str]:
    rows = "document.querySelectorAll(`${arguments[0]} tbody tr`)"
    return page.run(f"return [...{rows}].map((row) => row.cells[arguments[1]].textContent)", table, number)


def choose(page: Browser, select: str, text: str) -> None:
    Select(page.driver.find_element(By.ID, select)).select_by_visible_text(text)


def wait_for_chart(page: Browser, chart: str) -> None:
    page.run("document.getElementById(arguments[0]).scrollIntoView()", chart)
    drawn = "return Boolean(document.getElementById(arguments[0]).querySelector('.main-svg'))"
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run(drawn, chart))


def test_runs__every_chart_is_drawn_without_a_complaint(page: Browser) -> None:
    for chart in page.driver.find_elements(By.CSS_SELECTOR, ".chart, canvas"):
        page.run("arguments[0].scrollIntoView()", chart)
    drawn = "return [...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('.main-svg'))"
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run(drawn))
    assert page.run("return charts.every((chart) => chart.drawn)")
    assert page.complaints() == []


def test_runs__requests_nothing_but_itself(page: Browser, runs: Path) -> None:
    for chart in ("confusion-map", "feature-map", "motion-course"):
        wait_for_chart(page, chart)
    # The confusion is a picture that plotly has made here.
    assert [address for address in page.requests() if not address.startswith("data:")] == [runs.as_uri()]


def test_runs__has_its_sections(page: Browser) -> None:
    headings = ["Runs", "Curves", "Throughput and memory", "Classes", "Features", "Predicted against true motion"]
    assert texts(page, "h2") == headings
    assert column(page, "#outcomes", 0) == ["mamp", MARKUP, "finetune", "begun"]
    captions = page.run(
        "return [...document.querySelectorAll('#curve-charts figcaption')].map((each) => each.textContent)"
    )
    assert [caption.partition(":")[0] for caption in captions] == [
        *("pretrain", "pretrain", "linear", "linear", "finetune", "finetune"),
        "Top-1 accuracy on the test clips after each epoch",
        "Top-5 accuracy on the test clips after each epoch",
    ]


def test_runs__legend_hides_a_run_and_brings_it_back(page: Browser) -> None:
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run("return charts[0].drawn"))
    assert page.run(SHOWN) == ["mamp", "mamp", "begun", "begun"]
    button = page.driver.find_element(By.CSS_SELECTOR, "#legend button")
    page.run("arguments[0].click()", button)
    assert page.run(SHOWN) == ["begun", "begun"]
    assert button.get_attribute("aria-pressed") == "false"
    page.run("arguments[0].click()", button)
    assert page.run(SHOWN) == ["mamp", "mamp", "begun", "begun"]


def test_runs__legend_tells_what_differs_and_what_has_only_begun(page: Browser) -> None:
    labels = texts(page, "#legend li span.soft")
    assert labels[0] == "pretrain · tiny · ntu60 xsub · seed 4"
    assert labels[3].endswith("incomplete")


def test_runs__curves_over_hours(page: Browser) -> None:
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run("return charts[0].drawn"))
    ends = "return document.querySelector('#curve-charts .chart').data[1].x"
    assert page.run(ends) == [1, 2, 3, 4]
    choose(page, "axis", "hours")
    assert page.run(ends) == pytest.approx([5 * epoch / 3600 for epoch in (1, 2, 3, 4)], rel=1e-3)


def test_runs__markup_in_names_stays_text(page: Browser) -> None:
    wait_for_chart(page, "confusion-map")
    assert NAMES[0] in column(page, "#class-table", 0)
    assert "<script>alert" in page.run("return document.querySelector('#confusion-map .main-svg').textContent")
    wait_for_chart(page, "feature-map")
    assert MARKUP[:20] in page.run("return document.getElementById('feature-map').textContent")
    assert page.run("return document.querySelectorAll('main script, main b, main i').length") == 0
    assert page.complaints() == []


def test_runs__says_what_a_run_lacks(page: Browser) -> None:
    choose(page, "confusion-run", "finetune")
    assert texts(page, "#confusion-missing") == ["Not available: scores.npz cannot be read."]
    assert not page.driver.find_element(By.ID, "confusion-body").is_displayed()
    choose(page, "confusion-run", MARKUP)
    assert page.driver.find_element(By.ID, "confusion-body").is_displayed()
    choose(page, "reconstruction-run", "begun")
    assert texts(page, "#reconstruction-missing") == ["no checkpoint yet"]


def test_runs__hardest_pairs_are_listed_and_filter(page: Browser) -> None:
    assert column(page, "#pairs", 0)[0] == NAMES[0]
    assert column(page, "#pairs", 1)[0] == "walk"
    assert int(column(page, "#pairs", 2)[0]) >= 20
    page.driver.find_element(By.CSS_SELECTOR, "#pairs input").send_keys("sit")
    pairs = zip(column(page, "#pairs", 0), column(page, "#pairs", 1), strict=True)
    assert all("sit down" in pair for pair in pairs)


def test_runs__confusion_orders_and_shows_errors_only(page: Browser) -> None:
    wait_for_chart(page, "confusion-map")
    diagonal = "return document.getElementById('confusion-map').data[0].z.map((row, i) => row[i])"
    accuracies = page.run(diagonal)
    *recorded, absent = page.run("return page.runs[1].confusion.accuracy")
    assert accuracies == pytest.approx(recorded, abs=1e-3)
    assert absent is None
    choose(page, "confusion-order", "hardest first")
    assert page.run(diagonal) == sorted(accuracies)
    page.run("document.getElementById('confusion-errors').click()")
    assert page.run(diagonal) == [None] * 3


def test_runs__classes_without_clips_are_shown_on_demand(page: Browser) -> None:
    wait_for_chart(page, "confusion-map")
    rows = "return document.getElementById('confusion-map').data[0].z.length"
    assert (page.run(rows), column(page, "#class-table", 0)) == (3, list(NAMES))
    assert "also the 1 of 4 classes" in texts(page, "#confusion-body .choice")[0]
    page.run("document.getElementById('confusion-all').click()")
    assert (page.run(rows), column(page, "#class-table", 0)) == (4, [*NAMES, ABSENT])
    assert page.complaints() == []


def test_runs__features_are_coloured_by_class(page: Browser) -> None:
    wait_for_chart(page, "feature-map")
    colours = "return document.getElementById('feature-map').data.map(({marker}) => marker.color)"
    assert len(set(page.run(colours))) == 3
    choose(page, "feature-class", "walk")
    assert page.run(colours)[:2] == [page.run("return styleColour('--faded')")] * 2
    assert page.run(colours)[2] == page.run("return markColour(2)")


def test_runs__predicted_motion_plays_and_follows_the_joint(page: Browser) -> None:
    wait_for_chart(page, "motion-course")
    before = page.run("return movement.frame")
    page.run("document.getElementById('motion-forward').click()")
    assert page.run("return movement.frame") == (before + 1) % 32
    page.run("document.getElementById('motion-play').click()")
    WebDriverWait(page.driver, WAIT_SECONDS).until(
        lambda _: page.run("return movement.frame") not in (before, before + 1)
    )
    page.run("document.getElementById('motion-play').click()")
    truth = "return document.getElementById('motion-course').data[0].y.slice(0, 5)"
    first = page.run(truth)
    choose(page, "motion-joint", "head")
    assert page.run(truth) != first


def test_runs__predicted_motion_is_shown_where_masked_only(page: Browser) -> None:
    wait_for_chart(page, "motion-course")
    shown = page.run("return document.getElementById('motion-course').data[1].y.map((value) => value !== null)")
    hidden = page.run("return Array.from({length: 32}, (_, frame) => movement.example.isMasked(frame, movement.joint))")
    assert shown == hidden
