"""The local page in Chromium: drop, sliders, divider, overlay, keys, downloads, a phone; its pixels are Python's."""

import base64
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import rawpy
from PIL import Image
from priorraw import isp
from priorraw_edge import load
from priorraw_edge.runtime.look import Look, adjust, develop
from priorraw_edge.runtime.picture import read_picture
from random_assets import CAMERAS

from benchmarks.page import browser
from benchmarks.page.server import serving

pytestmark = pytest.mark.slow
WAIT = 120  # seconds; a loaded machine may take long


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """Ramps of every hue up to white, where the sliders do most."""
    y, x = np.mgrid[0:90, 0:120].astype(np.float32)
    codes = np.stack([x * 2.1, y * 2.8, 255 - x * 2], -1).clip(0, 255).astype(np.uint8)
    codes[:20] = np.linspace(0, 255, 120).astype(np.uint8)[:, None]
    path = tmp_path_factory.mktemp("photo") / "ramps.png"
    Image.fromarray(codes).save(path)
    return path


@pytest.fixture(scope="module")
def server(page_bundle):
    if reason := browser.missing():
        (pytest.fail if os.environ.get("PRIORRAW_BROWSER") else pytest.skip)(reason)
    with serving(page_bundle, limits={}) as running:
        yield running


@pytest.fixture(scope="module")
def expected(page_bundle, photo):
    """What Python rebuilds, in 16 bits as the browser is sent it, and the photograph."""
    raw = load(bundle=page_bundle).reconstruct(photo)
    return raw, isp.dequantise(isp.quantise(raw.rgb, 16)), read_picture(photo).srgb


class Page:
    """An open page."""

    def __init__(self, driver, address: str, query: str = ""):
        self.driver = driver
        driver.get(address + query)

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def wait(self, expression: str):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, WAIT, 0.05).until(lambda d: d.execute_script(f"return {expression}"))

    def open(self, photo: Path) -> None:
        self.find("#choose").send_keys(str(photo))
        self.done()

    def done(self) -> None:
        self.wait("document.body.dataset.state != 'busy' && document.body.dataset.state != 'start'")
        self.settle(split=0.5)

    def settle(self, **shown) -> None:
        """Wait until the canvas shows this."""
        for name, value in shown.items():
            self.wait(
                f"(d => d && d.{name} === {json.dumps(value)})(JSON.parse(document.body.dataset.drawn ?? 'null'))"
            )

    def dial(self, **values: float) -> None:
        """Move sliders, as a drag does."""
        for name, value in values.items():
            self.driver.execute_script(
                "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
                "s.dispatchEvent(new Event('input', { bubbles: true }))",
                name,
                value,
            )
        self.settle(**values)

    def key(self, key: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(key).perform()

    def pixels(self) -> np.ndarray:
        """What the canvas holds, (h, w, 3) uint8."""
        data = self.driver.execute_script("return document.getElementById('canvas').toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB"))

    def look(self) -> Look:
        drawn = json.loads(self.driver.execute_script("return document.body.dataset.drawn"))
        return Look(*(drawn[name] for name in ("exposure", "highlights", "warmth", "tint")))

    def shown(self) -> np.ndarray:
        """What the screen shows, (h, w, 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB"))

    def complaints(self) -> list[str]:
        """Errors in the browser's log."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def driver(server):
    with browser.chromium(1280, 900) as running:
        yield running


@pytest.fixture(params=["webgl2", "canvas"])
def page(driver, server, photo, request) -> Page:
    page = Page(driver, server.address, f"?renderer={request.param}")
    page.open(photo)
    assert driver.execute_script("return document.body.dataset.renderer") == request.param
    return page


def differences(got: np.ndarray, picture: np.ndarray) -> np.ndarray:
    return np.abs(got.astype(int) - isp.quantise(picture, 8))


@pytest.mark.parametrize(
    "dials",
    [
        {},
        {"exposure": -1.5},
        {"exposure": 2, "highlights": -1},
        {"highlights": 0.8, "warmth": -0.6, "tint": 0.3},
        {"exposure": -2.5, "warmth": 1.2},
    ],
    ids=str,
)
def test_pixels_are_pythons(page, expected, dials):
    """Both halves, every slider, by the shader and by the plain canvas, from the 16-bit result: to 1 of 255."""
    raw, codes, srgb = expected
    page.dial(**dials)
    page.key("3")
    page.settle(split=0)
    developed = develop(codes, raw.neutral, raw.color_matrix, Look(**dials))
    assert differences(page.pixels(), developed).max() <= 1  # seen: 0 by WebGL, 1 in 0.2 % of the pixels by canvas
    page.key("2")
    page.settle(split=1)
    assert differences(page.pixels(), adjust(srgb, Look(**dials))).max() <= 1
    assert page.complaints() == []


def test_the_divider_parts_jpeg_from_raw(page, expected):
    from selenium.webdriver import ActionChains, Keys

    raw, codes, srgb = expected
    page.dial(exposure=-1)
    divider = page.find("#divider")
    ActionChains(page.driver).drag_and_drop_by_offset(divider, 200, 0).perform()
    at = int(divider.get_attribute("aria-valuenow"))
    assert 60 < at < 80  # from 50
    divider.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    page.wait(f"document.getElementById('divider').ariaValueNow == {at - 4}")
    page.wait(f"Math.abs(JSON.parse(document.body.dataset.drawn).split - {at / 100 - 0.04}) < 0.006")
    split = json.loads(page.driver.execute_script("return document.body.dataset.drawn"))["split"]
    edge = int(np.ceil(split * 120))
    got = page.pixels()
    look = Look(exposure=-1)
    assert differences(got[:, : edge - 1], adjust(srgb, look)[:, : edge - 1]).max() <= 1
    assert (
        differences(got[:, edge + 1 :], develop(codes, raw.neutral, raw.color_matrix, look)[:, edge + 1 :]).max() <= 1
    )


def test_the_overlay_is_viridis_of_the_reliability(page, expected):
    from priorraw_edge.demo.pictures import reliability_colours

    raw = expected[0]
    page.key("3")
    page.settle(split=0)
    plain = page.pixels().astype(float)
    page.key("r")
    page.settle(overlay=True)
    colours = reliability_colours(raw.reliability).astype(float)
    mixed = plain + (colours - plain) * 0.78
    assert np.abs(page.pixels() - mixed).max() < 6  # seventeen colours against OpenCV's 256; seen: 2.8
    assert page.find("#legend").is_displayed()
    page.key("1")
    page.settle(split=0.5)
    half = page.pixels()
    assert np.abs(half[:, 60:] - mixed[:, 60:]).max() < 6
    page.key("r")
    page.settle(overlay=False)
    assert (page.pixels()[:, :60] == half[:, :60]).all()  # the JPEG is not covered
    page.key("r")
    page.settle(overlay=True)
    page.key("3")
    page.settle(split=0)
    page.key("r")
    page.settle(overlay=False)
    assert (page.pixels() == plain).all()


def test_grey_is_where_it_was_picked(page, expected):
    """Click on a coloured spot: the pixels around it become neutral, in the RAW's own channels."""
    from selenium.webdriver import ActionChains

    raw, codes, _ = expected
    page.key("g")
    sheet = page.find("#sheet")
    ActionChains(page.driver).move_to_element_with_offset(sheet, 0, 20).click().perform()
    page.wait("JSON.parse(document.body.dataset.drawn).warmth !== 0")
    balanced = codes * isp.gains_from_illuminant(raw.neutral) * page.look().factors()
    height = page.driver.execute_script("return document.getElementById('sheet').getBoundingClientRect().height")
    y = int(45 + 20 * 90 / height)
    means = [balanced[v - 3 : v + 4, u - 3 : u + 4].mean((0, 1)) for v in (y - 1, y, y + 1) for u in (59, 60, 61)]
    assert min(np.ptp(mean) / mean.mean() for mean in means) < 0.01  # seen: 0.0
    page.key("0")
    page.settle(exposure=0, warmth=0, tint=0)


def test_downloads_are_the_results(page, server, expected, tmp_path):
    raw, _, _ = expected
    page.key("d")
    file = page.driver.downloads / "ramps.dng"
    for _ in range(200):
        if file.exists():
            break
        page.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert file.read_bytes() == raw.save(tmp_path / "a.dng").read_bytes()
    with rawpy.imread(str(file)) as opened:
        assert (opened.raw_image_visible[..., :3] == isp.quantise(raw.rgb, 16)).all()
    file.unlink()
    assert page.find("#tiff").get_attribute("download") == "ramps.tiff"


def test_a_dropped_file_is_taken(driver, server, photo):
    page = Page(driver, server.address)
    data = base64.b64encode(photo.read_bytes()).decode()
    driver.execute_script(
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt());"
        "const dataTransfer = new DataTransfer();"
        "dataTransfer.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));"
        "document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));",
        data,
    )
    page.done()
    assert page.find("#file").text == "dropped.png"
    assert page.find("#facts").text.startswith("Sensor")


def test_the_sample_and_its_histogram(driver, server):
    page = Page(driver, server.address)
    page.find("#sample").click()
    page.done()
    page.wait("document.getElementById('clipped-raw').textContent")

    def histogram() -> np.ndarray:
        data = driver.execute_script("return document.getElementById('histogram').toDataURL()")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGBA"))

    before = histogram()
    assert (before[..., 3] > 0).mean() > 0.1
    page.dial(exposure=3)
    page.wait("parseFloat(document.getElementById('clipped-jpeg').textContent) > 20")
    after = histogram()
    assert np.abs(after.astype(int) - before).mean() > 2


def test_a_refusal_is_said_and_another_photo_taken(driver, server, photo, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing more")
    page = Page(driver, server.address)
    page.find("#choose").send_keys(str(broken))
    page.wait("!document.getElementById('refusal').hidden")
    assert page.find("#refusal").text.startswith("broken.jpg: truncated or damaged")
    page.open(photo)
    assert not page.find("#refusal").is_displayed()


def test_another_site_cannot_use_it(driver, server, tmp_path):
    """A page of another origin in the same browser: its requests fail, simple ones and those with a preflight."""
    page = tmp_path / "evil.html"
    page.write_text("<!doctype html><title>evil</title>")
    driver.get(page.as_uri())
    tries = (
        "fetch(u + 'api/status')",
        "fetch(u + 'api/jobs', { method: 'POST', body: 'x', headers: { 'X-PriorRAW': '1' } })",
        "fetch(u + 'api/jobs', { method: 'POST', body: 'x', mode: 'no-cors' }).then(() => { throw 'opaque' })",
        "new Promise((yes, no) => { const i = new Image(); i.onload = yes; i.onerror = () => no('blocked');"
        " i.src = u + 'sample.jpg' })",
    )
    before = server.json("GET", "/api/status")
    for attempt in tries:
        got = driver.execute_async_script(
            f"const u = arguments[0], done = arguments[1]; {attempt}"
            ".then(() => done('passed'), (e) => done(String(e)))",
            server.address,
        )
        assert got != "passed", attempt
    after = server.json("GET", "/api/status")
    assert (after["jobs"], after["finished"]) == (before["jobs"], before["finished"])


def test_the_keyboard_alone_is_enough(driver, server, photo):
    from selenium.webdriver import Keys

    page = Page(driver, server.address)
    page.open(photo)
    page.find("#exposure").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.settle(exposure=0.1)
    page.key("?")
    page.wait("document.getElementById('help').open")
    page.key(Keys.ESCAPE)
    page.wait("!document.getElementById('help').open")
    # Every control can be reached by Tab and has a name.
    unnamed = driver.execute_script(
        "return [...document.querySelectorAll('button, input, select, [role=slider]')]"
        ".filter((e) => e.checkVisibility())"
        ".filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_on_a_phone_everything_fits(server, photo):
    with browser.chromium(390, 844, scale=2, phone=True) as driver:
        page = Page(driver, server.address)
        page.open(photo)
        width, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= inner == 390
        small = driver.execute_script(
            "return [...document.querySelectorAll('button, #panel input[type=range], .downloads a')]"
            ".filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 36).map((e) => e.id)"
        )
        assert small == []  # fingers are wide
        screen = page.shown()
        assert screen.shape[1] == 780
        page.dial(exposure=2)
        assert np.abs(page.shown().astype(int) - screen).mean() > 3  # the picture stays in sight while one dials
        assert page.complaints() == []


def test_the_cameras_of_the_bundle_are_offered(driver, server, photo):
    page = Page(driver, server.address)
    page.wait("document.getElementById('camera').options.length > 1")
    options = driver.execute_script("return [...document.getElementById('camera').options].map((o) => o.value)")
    assert options == ["", *CAMERAS]
    page.open(photo)
    driver.execute_script("document.getElementById('again').open = true")
    page.find(f"#camera option[value={CAMERAS[0]}]").click()
    page.find("#rebuild").click()
    page.wait(f"document.getElementById('facts').textContent.includes('{CAMERAS[0]}')")
