"""The main journey of the page in Firefox, with the service and without one."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from web_making import coded, decoded, noisy, serve_folder

PUPPETEER = Path(__file__).parents[2] / "build/puppeteer"
SCRIPT = Path(__file__).with_name("firefox.mjs")
ENTRY = "node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def firefox() -> tuple[str, ...]:
    """Return the command that drives Firefox; npm fetches puppeteer-core once."""
    browser = shutil.which("firefox-esr") or shutil.which("firefox")
    if browser is None:
        pytest.skip("Firefox is not installed (on Debian: apt install firefox-esr).")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed; it fetches puppeteer-core, which drives Firefox.")
    if not (PUPPETEER / ENTRY).exists():
        words = ["--silent", "--no-audit", "--no-fund", "--prefix", PUPPETEER]
        done = subprocess.run(["npm", "install", *words, "puppeteer-core@24"], check=False)
        if done.returncode:
            pytest.skip("npm could not fetch puppeteer-core, which drives Firefox.")
    return "node", str(SCRIPT), str(PUPPETEER / ENTRY), browser


def check_journey(firefox: tuple[str, ...], address: str, folder: Path) -> None:
    pixels = noisy(200, 280)
    (folder / "a.png").write_bytes(coded(pixels))
    (folder / "downloads").mkdir()
    words = [*firefox, address, folder / "a.png", folder / "downloads"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["name"] == "a-clean.png"
    assert seen["troubles"] == []
    before, after = seen["shown"]
    assert after < 0.75 * before
    clean, unchanged = (
        decoded((folder / "downloads" / name).read_bytes())
        for name in ("clean.png", "unchanged.png")
    )
    assert roughness(clean) < 0.75 * roughness(pixels)
    assert np.array_equal(unchanged, pixels)  # a strength of 0
    before, after = seen["unchanged"]
    assert after > 0.9 * before


def roughness(pixels: np.ndarray) -> float:
    return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())


def test_the_page_of_the_service(firefox, start, tmp_path):
    port, _ = start()
    check_journey(firefox, f"http://localhost:{port}/", tmp_path)


def test_the_page_without_a_server(firefox, site, tmp_path):
    server = serve_folder(site)
    try:
        check_journey(firefox, f"http://localhost:{server.server_port}/", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
