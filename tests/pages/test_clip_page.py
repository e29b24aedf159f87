"""A clip's page in a browser: it plays, and its masks are those of the equations."""

from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from mamp_pipeline.motion import masking_probability, sample_mask, token_intensity
from mamp_pipeline.report.clip_view import find_clip, view_clip
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.objectives import MaskingSpec
from tests.pages.conftest import WAIT_SECONDS, Browser
from tests.paths import GOLDEN

GOLDEN_MASKS = (("mamp0n", 0.9, 0.8), ("mamp1n", 0.9, 0.75), ("mamp2n", 0.6, 0.8))


@pytest.fixture
def page(chromium: Browser, clip: Path) -> Browser:
    chromium.open(clip)
    return chromium


def part(page: Browser, name: str) -> str:
    return page.driver.find_element(By.CSS_SELECTOR, f"[data-part='{name}']").text


def press(page: Browser, *keys: str) -> None:
    page.driver.find_element(By.TAG_NAME, "body").send_keys(*keys)


def set_slider(page: Browser, name: str, value: float) -> None:
    page.run(
        "const slider = document.querySelector(`[data-part='${arguments[0]}']`); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def test_clip__loads_without_a_complaint_and_requests_nothing_but_itself(page: Browser, clip: Path) -> None:
    assert part(page, "name") == "sit down/pair_s2_c2"
    assert page.complaints() == []
    assert page.requests() == [clip.as_uri()]


def test_clip__space_plays_and_pauses(page: Browser) -> None:
    drawn = "return [viewer.state.drawn, document.querySelector('.stage').toDataURL()]"
    places, picture = page.run(drawn)
    press(page, " ")
    WebDriverWait(page.driver, WAIT_SECONDS).until(lambda _: page.run("return viewer.state.frame") > 5)
    press(page, " ")
    counter = part(page, "counter")
    assert counter != "frame 1 / 64"
    later, shown = page.run(drawn)
    assert len(places) == len(later) == 50
    assert all(before != after for before, after in zip(places, later, strict=True))
    assert picture != shown
    assert part(page, "play") == "Play"
    page.driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert part(page, "counter") == counter


def test_clip__arrows_step_and_wrap_around(page: Browser) -> None:
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert part(page, "counter") == "frame 3 / 64"
    press(page, *(Keys.ARROW_LEFT,) * 3)
    assert part(page, "counter") == "frame 64 / 64"


def test_clip__shift_and_arrows_turn_the_body(page: Browser) -> None:
    places = page.run("return viewer.state.drawn")
    press(page, Keys.SHIFT, Keys.ARROW_RIGHT)
    assert page.run("return viewer.state.drawn") != places
    assert part(page, "counter") == "frame 1 / 64"


def test_clip__frames_outside_of_the_crop_belong_to_no_segment(page: Browser) -> None:
    assert part(page, "segment") == "outside of the crop"
    press(page, *(Keys.ARROW_RIGHT,) * 3)
    assert part(page, "segment") == "segment 1 / 30"
    press(page, Keys.END)
    assert part(page, "segment") == "outside of the crop"
    segments = page.run("return Array.from({length: 58}, (_, i) => segmentOf(viewer.state.clip, i + 3))")
    assert segments == [int((frame + 0.5) * 120 / 58 / 4) for frame in range(58)]


@pytest.mark.parametrize(("ratio", "masked"), [(0.9, 676), (0.5, 375), (0.05, 38), (0.95, 713)])
def test_clip__ratio_slider_changes_how_many_tokens_are_masked(page: Browser, ratio: float, masked: int) -> None:
    set_slider(page, "ratio", ratio)
    assert part(page, "mask-summary").startswith(f"{masked} of 750 tokens masked, {750 - masked} kept.")
    assert page.run("return viewer.state.masked.reduce((a, b) => a + b)") == masked


def test_clip__sliders_work_by_keyboard(page: Browser) -> None:
    page.driver.find_element(By.CSS_SELECTOR, "[data-part='ratio']").send_keys(Keys.ARROW_LEFT)
    assert part(page, "ratio-value") == "0.85"
    assert part(page, "mask-summary").startswith("638 of 750")
    assert part(page, "counter") == "frame 1 / 64"


@pytest.mark.parametrize(("ratio", "temperature"), [(0.9, 0.8), (0.6, 0.25), (0.35, 1.7)])
@pytest.mark.parametrize("body", [0, 1])
def test_clip__mask_is_that_of_the_equations(
    page: Browser, gestures: Store, ratio: float, temperature: float, body: int
) -> None:
    Select(page.driver.find_element(By.CSS_SELECTOR, "[data-part='body']")).select_by_index(body)
    set_slider(page, "ratio", ratio)
    set_slider(page, "temperature", temperature)
    press(page, "n")
    found = page.run(
        "return [[...viewer.state.probability], [...viewer.state.masked], [...drawUniform(750, viewer.state.seed)]]"
    )
    probability, masked, u = (np.array(numbers, dtype=np.float64).reshape(30, 25) for numbers in found)
    tokens = view_clip(gestures, find_clip(gestures, "sit down/pair_s2_c2")).tokens[body].astype(np.float64)
    np.testing.assert_allclose(probability, masking_probability(tokens, temperature), rtol=1e-12)
    assert np.array_equal(masked, sample_mask(tokens, u, MaskingSpec(ratio=ratio, temperature=temperature)))
    assert part(page, "mask-summary").endswith(f"to {probability.max() * 100:.3f} % (light).")


@pytest.mark.parametrize(("case", "ratio", "temperature"), GOLDEN_MASKS)
def test_mask_tokens__equals_the_authors(page: Browser, case: str, ratio: float, temperature: float) -> None:
    script = "return [...maskTokens(...arguments).masked]"
    with np.load(GOLDEN / "model.npz") as golden:
        sequences = golden["x"].transpose(0, 4, 2, 3, 1).reshape(-1, 24, 25, 3)
        draws, masks = golden["u"], golden[f"{case}/mask"]
    for sample, u, mask in zip(sequences, draws, masks, strict=True):
        intensity = token_intensity(sample, 4).ravel().tolist()
        assert page.run(script, intensity, u.tolist(), ratio, temperature) == mask.astype(int).tolist()


def test_draw_uniform__is_uniform_and_follows_its_seed(page: Browser) -> None:
    script = "return [...drawUniform(arguments[0], arguments[1])]"
    u = np.array(page.run(script, 20_000, 1))
    shares = np.histogram(u, bins=10, range=(0, 1))[0] / len(u)
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
    assert page.run(script, 20, 1) == u[:20].tolist()
    assert page.run(script, 20, 2) != u[:20].tolist()


def test_clip__new_draw_masks_others_but_as_many(page: Browser) -> None:
    before = page.run("return [...viewer.state.masked]")
    page.driver.find_element(By.CSS_SELECTOR, "[data-part='draw']").click()
    after = page.run("return [...viewer.state.masked]")
    assert before != after
    assert sum(before) == sum(after)
