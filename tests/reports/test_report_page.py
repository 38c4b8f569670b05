"""A report as a reader opens it: on a phone, in the dark."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from quietpixel.cli.main import main


@pytest.fixture
def report(tmp_path: Path) -> Path:
    words = "evaluate mnist-unet median digits --noise gaussian:0.5 --count 12 --report"
    assert main([*words.split(), str(tmp_path / "report.html")]) == 0
    return tmp_path / "report.html"


def test_a_report_suits_a_phone_in_the_dark(report: Path, browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    shown, scales = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " [...document.images].map((each) => each.clientWidth / each.naturalWidth)]"
    )
    page.close()
    assert max(map(int, re.findall(r"\d+", shown))) < 64
    # Letters of 12 pixels and more stay legible; what is too wide is swiped.
    assert len(scales) >= 4
    assert min(scales) > 0.4
    content = report.read_text()
    for data in re.findall(r"data:image/png;base64,([^\"]+)", content):
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
        assert image.getpixel((1, 1))[3] == 0  # the page shows through, not a white slab
    headings = re.findall(r"<h2>(.*?)</h2>", content)
    assert len(headings) == len(set(headings))
    assert 'class="pane"' not in content  # digits of 28 x 28 pixels have no details to crop
