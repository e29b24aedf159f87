"""A store's report in a browser."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from mamp_schemas.io.store_reader import Store
from tests.pages.conftest import WAIT_SECONDS, Browser
from tests.report_cases import CLASSES, JUMPING


@pytest.fixture
def page(chromium: Browser, report: Path) -> Browser:
    chromium.open(report)
    return chromium


def texts(page: Browser, selector: str) -> list[str]:
    return [element.text for element in page.driver.find_elements(By.CSS_SELECTOR, selector)]


def column(page: Browser, table: str, number: int) -> list[str]:
    rows = "document.querySelectorAll(`${arguments[0]} tbody tr`)"
    return page.run(f"return [...{rows}].map((row) => row.cells[arguments[1]].textContent)", table, number)


def choose_class(page: Browser, name: str) -> None:
    Select(page.driver.find_element(By.ID, "class-filter")).select_by_visible_text(name)


def test_report__every_chart_is_drawn_without_a_complaint(page: Browser) -> None:
    for chart in page.driver.find_elements(By.CSS_SELECTOR, ".chart, canvas"):
        page.run("arguments[0].scrollIntoView()", chart)
    drawn = "return [...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('.main-svg'))"
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run(drawn))
    assert page.run("return charts.every((chart) => chart.drawn)")
    assert page.complaints() == []


def test_report__requests_nothing_but_itself(page: Browser, report: Path) -> None:
    page.run("document.querySelector('.stage').scrollIntoView()")
    assert page.requests() == [report.as_uri()]


def test_report__shows_the_store_s_numbers(page: Browser, gestures: Store) -> None:
    assert texts(page, "#tiles dd")[0] == str(len(gestures.ids))
    assert column(page, "#splits", 2) == ["8", "8"]


def test_report__class_filter_filters_charts_and_tables(page: Browser) -> None:
    subjects = "return document.querySelectorAll('#count-charts .chart')[1].data[0].y.reduce((a, b) => a + b)"
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run("return charts[1].drawn"))
    assert page.run(subjects) == 16
    choose_class(page, "sit down")
    assert page.run(subjects) == 5
    assert column(page, "#classes", 0) == ["sit down"]
    assert page.run("return document.querySelectorAll('#outliers tbody tr').length") == 0
    choose_class(page, CLASSES[0])
    assert column(page, "#outliers", 0) == [JUMPING]


def test_report__tables_filter_by_words(page: Browser) -> None:
    field = page.driver.find_element(By.CSS_SELECTOR, "#provenance-table input")
    field.send_keys("POLICY gaps")
    assert column(page, "#provenance-table", 0) == ["policy: tracking_gaps"]
    assert texts(page, "#provenance-table .table-tools span")[0].startswith("1 of ")


def test_report__tables_sort_by_a_column_and_back_by_keyboard(page: Browser) -> None:
    button = page.driver.find_elements(By.CSS_SELECTOR, "#classes th button")[1]
    button.send_keys(Keys.ENTER)
    assert column(page, "#classes", 1) == ["6", "5", "5"]
    button.send_keys(Keys.SPACE)
    assert column(page, "#classes", 1) == ["5", "5", "6"]
    assert page.run("return document.querySelectorAll('#classes th')[1].getAttribute('aria-sort')") == "ascending"


def test_report__outliers_lead_to_the_viewer(page: Browser) -> None:
    link = page.driver.find_element(By.LINK_TEXT, "walk/stretch_s1_c2")
    page.run("arguments[0].click()", link)
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: texts(page, "#viewer h2") == ["walk/stretch_s1_c2"])
    assert page.run("return document.activeElement.className") == "stage"
    assert Select(page.driver.find_element(By.ID, "clip-select")).first_selected_option.text.startswith("walk/stretch")


def test_report__markup_in_names_stays_text(page: Browser) -> None:
    choice = Select(page.driver.find_element(By.ID, "clip-select"))
    choice.select_by_value(JUMPING)
    assert texts(page, "#viewer h2") == [JUMPING]
    assert JUMPING in texts(page, "#outliers a")
    assert texts(page, "h1") == ["Gestures <i>1"]
    assert "<b>wave" in page.run("return document.querySelector('#count-charts .main-svg').textContent")
    assert page.run("return document.querySelectorAll('main img, main script, main b, main i').length") == 0
    assert page.complaints() == []


def test_report__names_the_quarantined_file_and_the_reason(page: Browser) -> None:
    assert column(page, "#quarantine-table", 0) == ["recordings/walk/broken_s1_c1.npy"]
    assert "not an npy file" in column(page, "#quarantine-table", 2)[0]


def test_report__keys_of_the_viewer_count_in_the_viewer_only(page: Browser) -> None:
    page.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)
    assert page.run("return viewer.state.frame") == 0
    page.driver.find_element(By.CSS_SELECTOR, ".stage").send_keys(Keys.ARROW_RIGHT)
    assert page.run("return viewer.state.frame") == 1
