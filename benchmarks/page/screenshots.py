"""Pictures of the local page for the documentation, taken in headless Chromium.

python -m benchmarks.page.screenshots docs/images
"""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from priorraw_edge.page.bundle_cache import cached_bundle
from priorraw_edge.quiet import quiet_libraries

from benchmarks.page.browser import chromium, missing
from benchmarks.page.server import Server, serving

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

WAIT = 120  # seconds


def main(folder: Path) -> None:
    if reason := missing():
        sys.exit(f"screenshots: {reason}")
    with serving(cached_bundle()) as server:
        with chromium(1440, 930) as driver:
            driver.get(server.address)
            _wait(driver, "document.getElementById('limits').textContent.includes('megapixels')")
            _save(driver, folder / "page-start.jpg")
            _open_sample(driver)
            _dial(driver, exposure=1.5)
            _save(driver, folder / "page.jpg")
            _dial(driver, exposure=0)
            driver.execute_script("document.getElementById('overlay').click()")
            _save(driver, folder / "page-reliability.jpg")
        with chromium(390, 844, scale=2, phone=True) as driver:
            _phone(driver, server, folder)


def _phone(driver: "Chrome", server: Server, folder: Path) -> None:
    driver.get(server.address)
    _open_sample(driver)
    _dial(driver, exposure=1.5, warmth=-0.6)
    _save(driver, folder / "page-phone.jpg")


def _open_sample(driver: "Chrome") -> None:
    driver.execute_script("document.getElementById('sample').click()")
    _wait(driver, "document.body.dataset.state == 'done' && document.body.dataset.drawn")


def _dial(driver: "Chrome", **values: float) -> None:
    for name, value in values.items():
        driver.execute_script(
            "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
            "s.dispatchEvent(new Event('input', { bubbles: true }))",
            name,
            value,
        )
        _wait(driver, f"JSON.parse(document.body.dataset.drawn).{name} === {value}")


def _wait(driver: "Chrome", expression: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, WAIT, 0.05).until(lambda d: d.execute_script(f"return Boolean({expression})"))


def _save(driver: "Chrome", path: Path) -> None:
    from PIL import Image

    driver.execute_async_script("setTimeout(arguments[0], 700)")  # the histogram, and what glides
    Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB").save(path, quality=88)
    print(path)


if __name__ == "__main__":
    with quiet_libraries():
        main(Path(sys.argv[1]))
