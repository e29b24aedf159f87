"""The looks of pages at 1280 × 800, in light and dark: pictures in build/pages, widths and contrasts."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages.conftest import HEIGHT, WAIT_SECONDS, WIDTH, Browser

PICTURES = Path(__file__).parents[2] / "build" / "pages"
SECTIONS = ("counts", "motion", "outliers", "clips", "quarantine")
RUN_SECTIONS = ("runs", "curves", "cost", "confusion", "class-table", "features", "reconstruction")
MARKS = tuple(f"--mark{number}" for number in range(6))
COLOURS = ("--ink", "--soft", "--link")


def take(browser: Browser, name: str) -> np.ndarray:
    PICTURES.mkdir(parents=True, exist_ok=True)
    content = browser.driver.get_screenshot_as_png()
    (PICTURES / f"{name}.png").write_bytes(content)
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def look_at(browser: Browser, sections: Sequence[str], name: str, scheme: str) -> None:
    for section in sections:
        browser.run("document.getElementById(arguments[0]).scrollIntoView()", section)
        WebDriverWait(browser.driver, WAIT_SECONDS).until(
            lambda _: browser.run(
                "return charts.every(({container, drawn}) => drawn ||"
                " container.getBoundingClientRect().top > innerHeight)"
            )
        )
        picture = take(browser, f"{name}-{section}-{scheme}")
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert (picture.mean() < 100) == (scheme == "dark")
    assert browser.run("return document.documentElement.scrollWidth") <= WIDTH


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report__looks(chromium: Browser, report: Path, scheme: str) -> None:
    chromium.open(report, scheme)
    look_at(chromium, SECTIONS, "report", scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_runs__looks(chromium: Browser, runs: Path, scheme: str) -> None:
    chromium.open(runs, scheme)
    look_at(chromium, RUN_SECTIONS, "runs", scheme)
    # Labels of charts lie within them.
    outside = """return [...document.querySelectorAll('.chart')].filter((chart) => {
        const box = chart.getBoundingClientRect();
        return [...chart.querySelectorAll('text')].some((text) => {
            const { left, right, top, bottom, width } = text.getBoundingClientRect();
            const across = left < box.left - 1 || right > box.right + 1;
            return width && (across || top < box.top - 1 || bottom > box.bottom + 1);
        });
    }).map((chart) => chart.id)"""
    assert chromium.run(outside) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks__stand_out_from_the_ground(chromium: Browser, runs: Path, scheme: str) -> None:
    chromium.open(runs, scheme)
    behind = chromium.run("return styleColour('--panel')")
    for colour in MARKS:
        assert contrast(chromium.run("return styleColour(arguments[0])", colour), behind) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_clip__looks(chromium: Browser, clip: Path, scheme: str) -> None:
    chromium.open(clip, scheme)
    chromium.run("viewer.state.frame = 30; document.querySelector('[data-part=forward]').click()")
    picture = take(chromium, f"clip-{scheme}")
    assert (picture.mean() < 100) == (scheme == "dark")
    # All of it on one screen.
    width, height = chromium.run("return [document.documentElement.scrollWidth, document.body.scrollHeight]")
    assert width <= WIDTH
    assert height <= HEIGHT


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours__text_is_readable(chromium: Browser, clip: Path, scheme: str) -> None:
    chromium.open(clip, scheme)
    for ground in ("--panel", "--ground", "--stripe"):
        behind = chromium.run("return styleColour(arguments[0])", ground)
        for colour in COLOURS:
            assert contrast(chromium.run("return styleColour(arguments[0])", colour), behind) >= 4.5


def test_viridis__grows_evenly_in_lightness(chromium: Browser, clip: Path) -> None:
    chromium.open(clip)
    colours = chromium.run("return Array.from({length: 21}, (_, i) => viridis(i / 20))")
    hexes = ["#" + "".join(f"{int(value):02x}" for value in colour[4:-1].split(",")) for colour in colours]
    # CIE lightness: what eyes of all kinds of colour vision share.
    lightness = np.array([116 * np.cbrt(luminance(colour)) - 16 for colour in hexes])
    steps = np.diff(lightness)
    assert steps.min() > 0.6 * steps.mean()
    assert steps.max() < 1.5 * steps.mean()
