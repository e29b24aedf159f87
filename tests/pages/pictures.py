"""The picture of the documentation, a synthetic clip: `python -m tests.pages.pictures` makes docs/images anew."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome

from mamp_pipeline.synth.ntu import synthesise
from tests.pages.conftest import Browser, start_chromium

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
COLOURS = 128


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        driver = start_chromium(folder / "profile")
        browser = Browser(driver)
        browser.open(make_viewer(folder))
        save(driver, "viewer")
        driver.quit()


def make_viewer(folder: Path) -> Path:
    raw, store, page = folder / "raw.zip", folder / "ntu60.zarr", folder / "clip.html"
    synthesise("ntu60", raw, clips=10, classes=10, setups=2, subjects=2, seed=0)
    run("mampctl", "ingest", "ntu60", "--raw", str(raw), "--out", str(store), "--workers", "0")
    with zipfile.ZipFile(raw) as archive:
        clip = min(Path(name).stem for name in archive.namelist())
    run("mampctl", "show", str(store), clip, "--html", str(page))
    return page


def run(*command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)


def save(driver: Chrome, name: str) -> None:
    """Write a screenshot, in few colours, so that the repository stays small."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    driver.save_screenshot(str(path))
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
