"""The documentation's site, opened from disk."""

from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages.conftest import WAIT_SECONDS, Browser


def test_site__search_from_disk_finds_pages_without_the_network(chromium: Browser, site: Path) -> None:
    chromium.open(site / "index.html")
    field = chromium.driver.find_element(By.CSS_SELECTOR, "input.md-search__input")
    field.click()
    field.send_keys("quarantined")
    found = "return [...document.querySelectorAll('.md-search-result__link')].map((link) => link.href)"
    WebDriverWait(chromium.driver, WAIT_SECONDS).until(lambda _: chromium.run(found))
    assert any(link.startswith((site / "data-ntu.html").as_uri()) for link in chromium.run(found))
    assert chromium.complaints() == []
    assert [address for address in chromium.requests() if not address.startswith(("file:", "data:", "about:"))] == []
