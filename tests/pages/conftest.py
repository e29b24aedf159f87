"""Pages in headless Chromium: opened from a file, watched for errors and requests."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from mamp_pipeline.report.clip_view import find_clip, pack_clip, view_clip
from mamp_pipeline.report.html import pack_skeleton, render_clip_page
from mamp_pipeline.report.runs_page import write_runs_page
from mamp_pipeline.report.store_page import write_store_page
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.progress import NullProgress
from tests.report_cases import make_store
from tests.run_cases import make_runs
from tests.waiting import HANG_SECONDS

WIDTH, HEIGHT = 1280, 800
WAIT_SECONDS = HANG_SECONDS
"""How long tests wait for what a page does: long enough for a busy machine."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """A browser with the console messages and requests of its page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, scheme: str = "light") -> None:
        """Load a page on a screen of 1280 × 800 in light or dark."""
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get("about:blank")
        self.complaints()
        self.requests()
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """Return the console's messages since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses requested since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


def start_chromium(profile: Path) -> Chrome:
    """Start a browser with its profile in a folder."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.fail("chromium and chromedriver are missing: as root, run `make browser`")
    options = Options()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Chrome(options=options, service=Service(driver))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    started = start_chromium(tmp_path_factory.mktemp("profile"))
    yield Browser(started)
    started.quit()


@pytest.fixture(scope="session")
def gestures(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of own recordings that move, jump, stand still and stretch."""
    return open_store(make_store(tmp_path_factory.mktemp("gestures")))


@pytest.fixture(scope="session")
def report(gestures: Store) -> Path:
    """The store's report."""
    out = gestures.path.with_name("report.html")
    write_store_page(gestures, out, NullProgress())
    return out


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of runs."""
    out = tmp_path_factory.mktemp("runs") / "runs.html"
    write_runs_page(make_runs(), out)
    return out


@pytest.fixture(scope="session")
def clip(gestures: Store) -> Path:
    """The page of a clip with two bodies."""
    skeleton = gestures.metadata.skeleton
    view = view_clip(gestures, find_clip(gestures, "sit down/pair_s2_c2"))
    out = gestures.path.with_name("clip.html")
    out.write_text(render_clip_page(view.id, {"skeleton": pack_skeleton(skeleton), "clip": pack_clip(view, skeleton)}))
    return out
