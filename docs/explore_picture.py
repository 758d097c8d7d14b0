"""Takes docs/pictures/explore.png: the article's Fig. 7 in the page, one output pointed at."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import unsample as us

PLACE = Path(__file__).with_name("pictures") / "explore.png"

with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    path = us.explore(
        "conv_transpose", y=[1, 10], weight=[2, 3, 4], stride=2, path=Path(folder) / "page.html"
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1320, "height": 900}, reduced_motion="reduce")
    page.goto(path.as_uri())
    page.locator('[data-grid="output"] .cell').nth(2).hover()
    page.screenshot(path=PLACE, full_page=True)
    browser.close()
