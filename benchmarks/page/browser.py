"""Headless Chromium, driven by Selenium."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Software WebGL; nothing that calls home; no sandbox, since CI runs as root.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


def missing() -> str | None:
    """What a browser test needs and this machine lacks, or None."""
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return "needs selenium: pip install 'priorraw-edge[test]'"
    if not any(map(shutil.which, CHROMIUM)) or not shutil.which("chromedriver"):
        return "needs Chromium: apt-get install chromium chromium-driver"
    return None


@contextlib.contextmanager
def chromium(width: int, height: int, *, scale: float = 1, phone: bool = False) -> "Iterator[Chrome]":
    """A browser with an empty profile; downloads go to `driver.downloads`.

    Args:
        width, height: of the window, in CSS pixels.
        scale: device pixels a CSS pixel.
        phone: a touch screen.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        downloads = Path(profile) / "downloads"
        downloads.mkdir()
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, CHROMIUM)))
        for flag in (*FLAGS, f"--user-data-dir={profile}/profile", f"--window-size={width},{height}"):
            options.add_argument(flag)
        if phone:
            metrics = {"width": width, "height": height, "pixelRatio": scale, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        elif scale != 1:
            options.add_argument(f"--force-device-scale-factor={scale}")
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        driver.downloads = downloads  # type: ignore[attr-defined]
        try:
            yield driver
        finally:
            driver.quit()
