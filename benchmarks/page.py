"""How soon the page shows a denoised part, and what a slider does, in a real browser.

    python benchmarks/page.py [MODEL] [--width 1280] [--height 720] [--repeats 15]
                              [--megapixels 1 12 24 50] [--json FILE]
    python benchmarks/page.py --engines [--runtime PATH] [--megapixels 1] [--repeats 3]

MODEL is a bundled name, a run folder or an .onnx file. A picture made here is dropped into the page
of `quietpixel serve`; when it is clean, strength and noise level are moved in turn, and the time is
taken from the slider's event to the first frame in which the stage has changed. Needs Playwright
and Chromium. Ends with 1 if half of the moves take longer than 300 milliseconds.

With --megapixels, JPEGs of these sizes are dropped, too. The time from the drop to the first
denoised pixels and to the whole result is a median of five.

With --engines, a picture is denoised by the browser alone, in WebAssembly on one thread and on all,
and by the service; megapixels per second are printed. PATH is the package onnxruntime-web.
"""

import argparse
import io
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright
from record import Record
from service import Client, make_picture, service

from quietpixel.files import write_picture
from quietpixel.web.static_page import write_page

MOST = 300
"""Milliseconds that a move may take."""
LOADS = 5
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOVE = """([id, value]) => new Promise((resolve) => {
    const canvas = document.getElementById("canvas"), control = document.getElementById(id);
    const context = canvas.getContext("2d");
    const look = () => context.getImageData(canvas.width >> 1, canvas.height >> 1, 64, 64).data;
    const before = look().join();
    control.value = value;
    const start = performance.now();
    control.dispatchEvent(new Event("input", { bubbles: true }));
    const wait = () => look().join() === before
        ? requestAnimationFrame(wait) : resolve(performance.now() - start);
    requestAnimationFrame(wait);
})"""

CHOSEN = """document.getElementById("files").addEventListener(
    "change", () => { window.chosenAt = performance.now(); }, { capture: true })"""
SHOWN = """(shown) => new Promise((resolve) => {
    const tag = document.getElementById("tag");
    const wait = () => shown.includes(tag.textContent)
        ? resolve(performance.now() - window.chosenAt) : requestAnimationFrame(wait);
    requestAnimationFrame(wait);
})"""


DENOISE = """async (side) => {
    const { BrowserEngine } = await import("/static/browser_engine.js");
    const engine = new BrowserEngine();
    await engine.setup();
    const data = Float32Array.from({ length: 3 * side * side }, Math.random);
    const words = { sigma: 0.1, channels: "rgb" };
    const small = { data: data.slice(0, 12288), width: 64, height: 64, channels: 3 };
    await engine.denoiseArray(small, words);
    const start = performance.now();
    await engine.denoiseArray({ data, width: side, height: side, channels: 3 }, words);
    return [performance.now() - start, engine.threads];
}"""
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


def main() -> int:
    options = read_options()
    if options.engines:
        return measure_engines(options)
    record = Record()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        with service(options.model) as port:
            most = measure_sliders(options, browser, port, Path(folder), record)
            if options.megapixels:
                measure_sizes(options.megapixels, browser, port, Path(folder), record)
        browser.close()
    record.save(options.json)
    return int(most > MOST)


def measure_sliders(
    options: argparse.Namespace, browser: Browser, port: int, folder: Path, record: Record
) -> float:
    """Report how fast the stage follows two sliders; return the larger median in ms."""
    file = folder / "noisy.png"
    write_picture(make_picture(options.height, options.width, 0), file)
    page = open_page(browser, port, 1900, 1080)
    page.set_input_files("#files", file)
    page.wait_for_selector("#caption:has-text('PNG')")
    page.fill("#split", "0")
    record.table(f"slider, {options.width} x {options.height}", "median, ms", "longest, ms")
    values = [90 - 5 * n for n in range(options.repeats or 15)]
    strength = report(record, "strength", page, values)
    page.click("#advanced summary")
    page.uncheck("#sigma-auto")
    sigma = report(record, "sigma", page, [1 + n for n in range(options.repeats or 15)])
    page.close()
    return max(strength, sigma)


def open_page(browser: Browser, port: int, width: int, height: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(300_000)
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("body[data-ready]")
    return page


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="photo")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--megapixels", type=float, nargs="+")
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--runtime", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measure_engines(options: argparse.Namespace) -> int:
    """Print how fast the browser alone and the service denoise a picture."""
    side, repeats = round((options.megapixels or [1])[0] ** 0.5 * 1000), options.repeats or 3
    print("| engine | megapixels/s |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "site"
        write_page(site, runtime=options.runtime)
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        for headers in ({}, ISOLATION):
            with static_host(site, headers) as port:
                page = browser.new_page()
                page.set_default_timeout(600_000)
                page.goto(f"http://localhost:{port}/static/icon.svg")
                runs = [page.evaluate(DENOISE, side) for _ in range(repeats)]
                seconds = statistics.median(run[0] for run in runs) / 1000
                print(f"| WebAssembly, threads: {runs[0][1]} | {side**2 / 1e6 / seconds:.2f} |")
                page.close()
        browser.close()
        stream = io.BytesIO()
        write_picture(make_picture(side, side, 0), stream, format="bmp")
        with service(options.model) as port:
            client = Client(port, "?sigma=0.1")
            for _ in range(repeats + 1):
                client.send(stream.getvalue())
        seconds = statistics.median(client.times[1:])
        print(f"| service | {side**2 / 1e6 / seconds:.2f} |")
    return 0


@contextmanager
def static_host(folder: Path, headers: dict[str, str]) -> Iterator[int]:
    """Serve a folder of files with further headers, and yield the port."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None: ...

        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

    Handler.extensions_map |= {".mjs": "text/javascript", ".wasm": "application/wasm"}
    host = ThreadingHTTPServer(("localhost", 0), partial(Handler, directory=folder))
    Thread(target=host.serve_forever, daemon=True).start()
    try:
        yield host.server_port
    finally:
        host.shutdown()
        host.server_close()


def measure_sizes(
    sizes: list[float], browser: Browser, port: int, folder: Path, record: Record
) -> None:
    """Report how long JPEGs of several sizes take to their first pixels and to their result."""
    record.table("JPEG, megapixels", "first denoised pixels, s", "whole result, s")
    for megapixels in sizes:
        height = round((megapixels * 1e6 / 1.5) ** 0.5)
        file = folder / f"noisy-{megapixels:g}.jpg"
        write_picture(make_picture(height, round(1.5 * height), 0), file)
        times = []
        for _ in range(LOADS):
            page = open_page(browser, port, 1280, 720)
            page.evaluate(CHOSEN)
            page.set_input_files("#files", file)
            first = page.evaluate(SHOWN, ["Preview of a part", "Preview", "After"])
            times.append((first, page.evaluate(SHOWN, ["After"])))
            page.close()
        first, whole = (statistics.median(each) / 1000 for each in zip(*times, strict=True))
        record.row(f"{megapixels:g}", f"{first:.2f}", f"{whole:.2f}")


def report(record: Record, control: str, page: Page, values: list[int]) -> float:
    """Move a slider, print how long the stage took to follow; return the median in ms."""
    times = []
    for value in values:
        times.append(page.evaluate(MOVE, [control, str(value)]))
        page.wait_for_timeout(200)
    median = statistics.median(times)
    record.row(control, f"{median:.0f}", f"{max(times):.0f}")
    return median


if __name__ == "__main__":
    sys.exit(main())
