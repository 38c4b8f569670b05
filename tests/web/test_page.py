"""Journeys through the page in the system's Chromium, as a person would make them."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from playwright.sync_api import expect
from scipy import ndimage
from web_making import coded, decoded, noisy

from quietpixel.web.options import Limits

PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def pages():
    """Hold the pages of the browser: a new one takes two seconds of computing more than one in use.

    Each test has a service on a port of its own, so that no test finds what another one stored.
    """
    return {}


@pytest.fixture
def visit(browser, start, pages):
    """Open the page with options of the service and of the browser, once in a test."""
    ends, troubles = contextlib.ExitStack(), []

    def go(
        path: str = "/",
        service=None,
        *,
        ready: bool = True,
        advanced: bool = True,
        size: tuple[int, int] = (1200, 800),
        media=None,
        **options,
    ):
        port, _ = start(**(service or {}))
        key = repr(options)
        if key not in pages:
            pages[key] = browser.new_context(**options).new_page()
            pages[key].set_default_timeout(PATIENCE)
        page = pages[key]
        for event, listen in (
            ("pageerror", lambda error: troubles.append(str(error))),
            ("console", lambda line: troubles.append(line.text) if is_trouble(line) else None),
        ):
            page.on(event, listen)
            ends.callback(page.remove_listener, event, listen)
        ends.callback(leave, page, port)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        # Reduced motion, because a colour in transition may lack contrast when it is checked.
        usual = {"reduced_motion": "reduce", "color_scheme": "light", "forced_colors": "none"}
        page.emulate_media(**usual | (media or {}))
        page.goto(f"http://localhost:{port}{path}")
        if ready:
            page.wait_for_selector("body[data-ready]")
            page.eval_on_selector(
                "#advanced", "(details, open) => { details.open = open; }", advanced
            )
        return page

    with ends:
        yield go
    assert not troubles


def leave(page, port: int) -> None:
    """Go to a page of the same site, which the browser keeps in the same process."""
    page.unroute_all(behavior="ignoreErrors")
    page.mouse.move(0, 0)
    page.evaluate("""() => addEventListener("beforeunload",
        event => event.stopImmediatePropagation(), true)""")  # it would ask
    page.goto(f"http://localhost:{port}/healthz")


def is_trouble(line) -> bool:
    """Separate troubles from error answers, which some journeys expect and the page shows."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


def as_file(name: str, content: bytes, kind: str = "image/png") -> dict:
    return {"name": name, "mimeType": kind, "buffer": content}


def canvas_pixels(page, selector: str) -> np.ndarray:
    """Return what a canvas shows, (H, W, 4)."""
    script = """canvas => { const {data, width, height} = canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height);
        const texts = [], step = 8192; // a string for each byte would take four times as long
        for (let at = 0; at < data.length; at += step)
            texts.push(String.fromCharCode(...data.subarray(at, at + step)));
        return [btoa(texts.join("")), width, height]; }"""
    text, width, height = page.eval_on_selector(selector, script)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def changes(page, selector: str, before: np.ndarray) -> np.ndarray:
    """Return how far the red of a canvas is from what it was."""
    return np.abs(canvas_pixels(page, selector)[..., 0] - before.astype(float))


def wait_until(page, holds, patience=PATIENCE) -> None:
    """Poll until `holds()`, for at most `patience` milliseconds plus the time of polling."""
    for _ in range(patience // 50):
        if holds():
            return
        page.wait_for_timeout(50)
    assert holds()


def repaint(page) -> None:
    """Wait until everything changed so far is painted."""
    frame = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(frame)


def stage_pixels(page) -> np.ndarray:
    """Return the stage as painted; for a moment after it opens or changes size it is empty."""
    stage_roughness(page)  # waits for it, and moves no pixels
    return canvas_pixels(page, "#canvas")


def stage_roughness(page) -> float:
    """Return the roughness of the stage as painted, found by the page: pixels are slow to fetch."""
    script = """async canvas => { for (let frame = 0; frame < 6000; frame++) {
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        const { data, width } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0, count = 0;
        for (let at = 4; at < data.length; at += 4)
            if (at % (4 * width) && data[at + 3]) {
                sum += Math.abs(data[at] - data[at - 4]);
                count += 1;
            }
        if (count) return sum / count;
    } }"""
    return page.eval_on_selector("#canvas", script)


def roughness(part: np.ndarray) -> float:
    """Return how much neighbours differ, over what the picture covers."""
    values = part[..., 0].astype(float)
    return float(np.abs(np.diff(values, axis=1))[part[:, 1:, 3] > 0].mean())


def download(page, click: str) -> tuple[str, bytes]:
    with page.expect_download() as caught:
        page.click(click)
    return caught.value.suggested_filename, Path(caught.value.path()).read_bytes()


def test_a_dropped_picture_becomes_clean_and_is_compared_by_keyboard(visit):
    page = visit("/#digits")  # a drop shows the other tab
    pixels = noisy(200, 280)
    script = """([name, text]) => { const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
        const transfer = new DataTransfer(); transfer.items.add(new File([bytes], name));
        document.body.dispatchEvent(new DragEvent("drop",
            {dataTransfer: transfer, bubbles: true, cancelable: true})); }"""
    page.evaluate(script, ["a.png", base64.b64encode(coded(pixels)).decode()])
    expect(page.locator(".row-item.done")).to_have_count(1)
    expect(page.locator("#caption")).to_contain_text("8-bit PNG")
    expect(page.locator("#sigma-value")).to_contain_text("estimated 2")
    boxes = [page.locator(each).bounding_box() for each in ("#split", "#stage")]
    assert boxes[0]["height"] == boxes[1]["height"]
    page.focus("#split")
    middle = stage_roughness(page)
    page.keyboard.press("Home")
    wait_until(page, lambda: stage_roughness(page) < middle)
    after = stage_roughness(page)
    page.keyboard.press("End")
    wait_until(page, lambda: stage_roughness(page) > after / 0.75)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#split")).to_have_value("99.5")
    expect(page.locator("#split")).to_have_attribute("aria-valuetext", "100 % before")


@pytest.mark.slow
def test_a_dropped_folder_gives_the_pictures_in_it(visit, tmp_path):
    page = visit()
    for name in ("a.png", "below/b.png", ".hidden.png"):
        path = tmp_path / "holiday" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(coded(noisy()))
    # Only the browser itself makes a drop that holds a folder.
    client = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(tmp_path / "holiday")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        client.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})
    expect(page.locator(".row-item.done")).to_have_count(2)
    assert set(page.locator(".row-item .name").all_inner_texts()) == {"a.png", "b.png"}


def test_depth_and_profile_come_back_and_strength_acts(visit):
    page = visit()
    expect(page.locator("#formats")).to_contain_text("Nikon ND2 and Leica LIF.")
    assert ".lif" in page.get_attribute("#files", "accept").split(",")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = io.BytesIO()
    deep = noisy(200, 260).astype(np.uint16) * 257
    tifffile.imwrite(stream, deep, photometric="rgb", iccprofile=profile)
    page.set_input_files("#files", as_file("scan.tif", stream.getvalue(), "image/tiff"))
    expect(page.locator(".row-item.done")).to_contain_text("16-bit TIFF, with profile")
    expect(page.locator("#apply")).to_be_disabled()
    page.focus("#strength")
    page.keyboard.press("Home")
    expect(page.locator("#strength-value")).to_have_text("0 %")
    expect(page.locator("#caption")).to_contain_text("Preview of the part in view")
    page.click("#apply")
    expect(page.locator(".row-item .pick")).to_be_focused()
    expect(page.locator("#caption")).to_contain_text("16-bit TIFF")
    name, content = download(page, ".row-item [aria-label='Download scan.tif']")
    assert name == "scan-clean.tif"
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        assert np.array_equal(file.asarray(), deep)
        assert file.pages[0].tags[34675].value == profile


@pytest.mark.slow
def test_a_preview_follows_the_noise_level(visit):
    page = visit()
    page.set_input_files("#files", as_file("a.png", coded(noisy(200, 280))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    page.uncheck("#sigma-auto")

    def seen() -> float:
        return stage_roughness(page)

    def show_level(level: str) -> None:
        page.fill("#sigma", level)
        expect(page.locator("#sigma-value")).to_have_text(f"{level}.0 of 255")

    half = seen()
    page.fill("#split", "0")
    wait_until(page, lambda: seen() < half)
    clean = seen()
    show_level("0")
    wait_until(page, lambda: seen() > 1.4 * clean)
    noisy_still = seen()
    show_level("51")
    wait_until(page, lambda: seen() < noisy_still / 2)


@pytest.mark.slow
def test_what_a_result_tells_is_not_asked_again(visit):
    """A model that finds the level by itself takes a level as a limit, which the page applies."""
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#files", as_file("a.png", coded(noisy(200, 280))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    expect(page.locator("#sigma-value")).to_contain_text("estimated 2")
    page.select_option("#model", "blind")
    page.click("#apply")
    expect(page.locator("#apply")).to_be_disabled()
    expect(page.locator("#caption")).to_contain_text("8-bit PNG")
    half = stage_roughness(page)
    page.fill("#split", "0")
    wait_until(page, lambda: stage_roughness(page) < half)
    asked.clear()
    page.uncheck("#sigma-auto")
    for slider, value in (("#sigma", "10"), ("#strength", "70")):
        smoother = stage_roughness(page)
        page.fill(slider, value)
        wait_until(page, lambda before=smoother: stage_roughness(page) > before)
    expect(page.locator("#caption")).to_contain_text("Preview of the part in view")
    preview = stage_pixels(page)
    assert not [url for url in asked if "preview" in url]
    page.click("#apply")
    expect(page.locator("#caption")).to_contain_text("8-bit PNG")
    result = stage_pixels(page)
    assert roughness(result) == pytest.approx(roughness(preview), rel=0.05)
    assert np.abs(result.astype(float) - preview).max() <= 4
    page.check("#sigma-auto")
    expect(page.locator("#sigma-value")).to_contain_text("estimated 2")


def test_strengths_above_1_and_of_colour_alone_show_as_they_come_out(visit):
    page = visit()
    page.set_input_files("#files", as_file("a.png", coded(noisy(200, 280))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    expect(page.locator("#sigma-value")).to_contain_text("estimated 2")
    page.fill("#split", "0")
    page.uncheck("#colour-strength-auto")
    for strength, colour in (("60", "100"), ("150", "0")):
        page.fill("#strength", strength)
        page.fill("#colour-strength", colour)
        expect(page.locator("#colour-strength-value")).to_have_text(f"{colour} %")
        expect(page.locator("#caption")).to_contain_text("Preview of the part in view")
        repaint(page)
        expect(page.locator("#tag")).to_have_text("Preview")
        preview = stage_pixels(page)
        page.click("#apply")
        expect(page.locator("#caption")).to_contain_text("8-bit PNG")
        assert np.abs(stage_pixels(page).astype(float) - preview).max() <= 4
    page.select_option("#model", "blind")
    expect(page.locator("#strength-value")).to_have_text("100 %")


def test_one_bad_file_among_good_ones_and_all_as_a_zip(visit):
    page = visit()
    files = [as_file("good.png", coded(noisy(seed=seed))) for seed in range(3)]
    files.insert(1, as_file("bad.png", b"this is no picture"))
    page.set_input_files("#files", files)
    expect(page.locator(".row-item.done")).to_have_count(3)
    bad = page.locator(".row-item.bad")
    expect(bad).to_have_count(1)
    expect(bad).to_contain_text("bad.png")
    expect(bad).to_contain_text("The file is not an image of a supported format")
    expect(page.locator("#noise-words")).to_contain_text("Noise: ")
    bad.locator(".pick").click()
    expect(page.locator("#trouble")).to_contain_text("The file is not an image")
    expect(page.locator("#noise-words")).to_have_text("")
    name, content = download(page, "#zip")
    assert name == "quietpixel.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["good-clean.png", "good-clean (2).png", "good-clean (3).png"]
        assert decoded(packed.read("good-clean.png")).shape == (40, 60, 3)
    page.click("[aria-label='Remove bad.png']")
    expect(page.locator(".row-item")).to_have_count(3)
    page.click("#clear")
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator("#choose")).to_be_focused()


@pytest.mark.slow
def test_zoom_and_what_was_taken_away(visit):
    page = visit()
    page.set_input_files("#files", as_file("a.png", coded(noisy(400, 1300))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    page.focus("#stage")
    zoom = page.locator("#zoom")
    for key, caption in (("1", "100 %"), ("+", "200 %"), ("-", "100 %")):
        page.keyboard.press(key)
        expect(zoom).to_have_text(caption)
    page.keyboard.press("0")
    expect(zoom).not_to_have_text("100 %")
    page.click("[data-zoom=pixel]")
    whole = stage_pixels(page)
    page.keyboard.press("ArrowRight")
    page.check("[name=mode][value=difference]", force=True)
    expect(page.locator("#caption")).to_contain_text("amplified")
    amplified = page.inner_text("#caption")
    page.click("[data-zoom=fit]")  # noise averages out, so it is amplified more
    expect(page.locator("#caption")).not_to_have_text(amplified)
    page.click("[data-zoom=pixel]")
    expect(page.locator("#caption")).to_have_text(amplified)
    wait_until(page, lambda: not np.array_equal(stage_pixels(page), whole))

    def is_gray() -> bool:
        taken = stage_pixels(page)
        return abs(float(taken[taken[..., 3] > 0][:, 0].mean()) - 128) < 3

    wait_until(page, is_gray)


@pytest.mark.slow
def test_the_model_and_its_card(visit):
    page = visit()
    page.set_input_files("#files", as_file("a.png", coded(noisy(28, 28))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    page.click("#card-open")
    expect(page.locator("#card")).to_contain_text("anything but tests")
    expect(page.locator("#card")).to_contain_text("On nothing: PSNR 30.12 dB.")
    page.keyboard.press("Escape")
    page.select_option("#model", "mnist-unet")
    expect(page.locator("#sigma-auto")).to_be_disabled()
    expect(page.locator("#sigma-help")).to_contain_text("finds the noise level by itself")
    page.select_option("#format", "jpeg")
    page.click("#apply")
    expect(page.locator(".row-item.done")).to_contain_text("8-bit")
    name, content = download(page, "[aria-label='Download a.png']")
    assert name == "a-clean.jpg"
    assert Image.open(io.BytesIO(content)).format == "JPEG"


def test_a_picture_that_cannot_be_shown_names_no_argument_of_the_library(visit):
    page = visit(service={"limits": Limits(max_pixels=1000)})
    page.route(re.compile("v1/denoise"), lambda route: None)  # whose error would replace it
    large = io.BytesIO()
    tifffile.imwrite(large, np.zeros((40, 50), np.uint16))
    page.set_input_files("#files", as_file("large.tif", large.getvalue(), "image/tiff"))
    expect(page.locator("#trouble")).to_contain_text("start the service with a higher --max-pixels")


def test_the_page_speaks_of_its_own_controls(visit):
    page = visit()
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (200, 280)), 2.5)
    deep = io.BytesIO()
    tifffile.imwrite(deep, (30000 + 9000 * grain / grain.std()).clip(0, 65535).astype(np.uint16))
    page.set_input_files("#files", as_file("deep.tif", deep.getvalue(), "image/tiff"))
    caption = page.locator("#caption")
    expect(caption).to_contain_text("16-bit TIFF")
    expect(caption).to_contain_text("a higher “Fine-tune” removes more")  # not `strength`
    expect(caption).to_contain_text("Intensity scale: black ")
    expect(page.locator("#colour-help")).to_be_visible()
    expect(page.locator("#colour-strength-auto")).to_be_disabled()
    page.set_input_files("#files", as_file("a.png", coded(noisy(200, 280))))
    page.click(".row-item:has-text('a.png') .pick")
    expect(page.locator("#colour-strength-auto")).to_be_enabled()
    expect(page.locator("#colour-help")).to_be_hidden()
    expect(page.locator(".row-item.done")).to_have_count(2)
    page.click("#card-open")
    expect(page.locator("#card")).to_contain_text("White noise of 26 of 255.")
    expect(page.locator("#card-title")).to_be_focused()  # else narrow screens show its end
    page.keyboard.press("Escape")
    page.select_option("#model", "mnist-unet")
    expect(caption).to_contain_text("Image must be 28x28")
    expect(page.locator("#tag")).to_have_text("Not denoised")
    page.click("#apply")
    expect(page.locator(".row-item.bad").first).to_contain_text("Image must be 28x28")


def is_of_a_drawing(answer) -> bool:
    """The pad is cleared before an example is drawn, which also sends an empty digit."""
    if not answer.url.endswith("/page/digit"):
        return False
    return sum(answer.request.post_data_json.get("image", [])) > 0


def settle(page) -> None:
    """Wait until the numbers of the digit that the page begins with stay for a second."""
    seen, since = None, 0
    for _ in range(600):
        now = page.locator(".number output").all_inner_texts()
        seen, since = now, since + 1 if now == seen else 0
        if since == 20:
            return
        page.wait_for_timeout(50)


def test_digits(visit):
    page = visit()
    page.focus("#tab-pictures")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#digits")).to_be_visible()
    expect(page.locator(".number output")).to_have_count(16)
    page.fill("#noise", "0")
    settle(page)
    with page.expect_response(is_of_a_drawing) as answer:
        page.click("text='7'")
    codes = page.evaluate("code => code.map(v => v.toFixed(1))", answer.value.json()["code"])
    wait_until(page, lambda: page.locator(".number output").all_inner_texts() == codes)
    drawn = canvas_pixels(page, "#drawn")[..., 0]
    noisy_one = canvas_pixels(page, "#noisy")[..., 0]
    rows, _ = np.nonzero(noisy_one > 60)
    assert 18 <= rows.max() - rows.min() + 1 <= 21
    mass = noisy_one / noisy_one.sum()
    assert abs((mass.sum(1) * np.arange(28)).sum() - 13.5) < 1
    page.fill("#noise", "0.5")
    expect(page.locator("#noise-value")).to_have_text("0.50")
    wait_until(page, lambda: page.locator(".number output").all_inner_texts() != codes)
    wait_until(page, lambda: changes(page, "#noisy", noisy_one).mean() > 20)
    page.fill("#noise", "0")
    wait_until(page, lambda: page.locator(".number output").all_inner_texts() == codes)
    page.focus("#code-3")
    for _ in range(30):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#drawn-text")).to_have_text("With one number changed.")
    wait_until(page, lambda: changes(page, "#drawn", drawn).max() > 20)
    page.click("#restore")
    expect(page.locator("#restore")).to_be_disabled()


@pytest.mark.slow
def test_convolutions_components_and_a_walk_are_shown(visit):
    page = visit("/#digits")
    expect(page.locator(".number output")).to_have_count(16)
    for name, shape in (("first", (59, 119)), ("second", (127, 127)), ("walk", (28, 260))):
        wait_until(page, lambda name=name: canvas_pixels(page, f"#{name}")[..., 0].max() > 200)
        assert canvas_pixels(page, f"#{name}").shape[:2] == shape
    errors = []
    for part in ("drawn", "linear"):
        text = page.locator(f"#{part}-error")
        expect(text).to_contain_text("Difference from your drawing: 0.")
        errors.append(float(text.inner_text().rpartition(" ")[2]))
    assert errors[0] < errors[1] < 0.3
    walk = canvas_pixels(page, "#walk")[..., 0]
    assert not np.array_equal(walk, canvas_pixels(page, "#fade")[..., 0])
    page.select_option("#walk-to", "0")
    wait_until(page, lambda: changes(page, "#walk", walk).max() > 50)
    assert np.array_equal(canvas_pixels(page, "#walk")[:, :28, 0], walk[:, :28])  # still from the 4


@pytest.mark.slow
def test_a_digit_is_drawn_with_the_mouse(visit):
    page = visit("/#digits")
    expect(page.locator(".number output")).to_have_count(16)
    page.fill("#noise", "0")
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()  # the example vanishes
    page.mouse.move(box["x"] + 50, box["y"] + 150, steps=5)
    page.mouse.up()
    wait_until(page, lambda: canvas_pixels(page, "#noisy")[..., 0].max() == 255)
    seen = canvas_pixels(page, "#noisy")[..., 0]
    assert seen[:, 12:16].max() == 255
    assert seen[:, :8].max() == 0
    wait_until(page, lambda: canvas_pixels(page, "#drawn")[6:22, 11:17, 0].mean() > 80)
    page.mouse.move(box["x"] + 100, box["y"] + 30)
    page.mouse.down()  # what was drawn stays
    page.mouse.up()
    wait_until(page, lambda: (canvas_pixels(page, "#noisy")[..., 0].max(0) > 0).sum() > 8)
    page.click("#wipe")
    wait_until(page, lambda: canvas_pixels(page, "#noisy")[..., 0].max() == 0)


@pytest.mark.slow
def test_a_narrow_screen_and_a_finger(visit):
    phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 3}
    page = visit(size=(320, 740), **phone)
    wait_until(page, lambda: np.all(canvas_pixels(page, "#demo-canvas")[..., 3]))
    page.set_input_files("#files", as_file("a.png", coded(noisy(200, 300))))
    expect(page.locator(".row-item.done")).to_have_count(1)
    save = page.locator("#save").bounding_box()
    assert save["y"] + save["height"] < 740
    expect(page.locator("#zip")).to_be_hidden()
    for tab in ("#tab-digits", "#tab-pictures"):
        page.tap(tab)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    box = page.locator("#stage").bounding_box()
    touches = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x, y))
    touch("touchMove", (x + 30, y))
    touch("touchMove", (x + 60, y))
    touch("touchEnd")
    assert float(page.input_value("#split")) > 60
    caption = page.inner_text("#caption")
    before = page.locator("#zoom").text_content()
    touch("touchStart", (x - 20, y + 80), (x + 20, y + 80))
    touch("touchMove", (x - 60, y + 80), (x + 60, y + 80))
    touch("touchEnd")
    wait_until(page, lambda: page.locator("#zoom").text_content() != before)
    assert caption


def drop(page, *names: str, size: tuple[int, int] = (200, 280)) -> None:
    files = [as_file(name, coded(noisy(*size, seed=at))) for at, name in enumerate(names)]
    page.set_input_files("#files", files)


def stage_centre(page) -> np.ndarray:
    """Return the middle of the stage where "after" is shown, (N, N, 3)."""
    page.fill("#split", "0")
    shown = stage_pixels(page)
    y, x = shown.shape[0] // 2, shown.shape[1] // 2
    return shown[y - 60 : y + 60, x - 60 : x + 60, :3]


def test_a_download_after_a_changed_setting_is_what_the_stage_shows(visit):
    page = visit()
    pixels = noisy(200, 280)
    page.set_input_files("#files", [as_file(f"{name}.png", coded(pixels)) for name in "ab"])
    expect(page.locator(".row-item.done")).to_have_count(2)
    assert not np.array_equal(decoded(download(page, "[aria-label='Download a.png']")[1]), pixels)
    page.fill("#strength", "0")
    expect(page.locator("#caption")).to_contain_text("Preview of the part in view")
    preview = stage_centre(page)
    assert np.array_equal(decoded(download(page, "[aria-label='Download a.png']")[1]), pixels)
    expect(page.locator("#tag")).to_have_text("After")
    assert np.array_equal(stage_centre(page), preview)
    expect(page.locator(".row-item.done")).to_have_count(1)
    expect(page.locator(".row-item.outdated")).to_contain_text("Out of date")
    _, content = download(page, "#zip")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for name in ("a-clean.png", "b-clean.png"):
            assert np.array_equal(decoded(packed.read(name)), pixels)
    expect(page.locator(".row-item.done")).to_have_count(2)
    page.fill("#strength", "100")
    expect(page.locator(".row-item.outdated")).to_have_count(2)
    page.fill("#strength", "0")  # the results are those of these settings again
    expect(page.locator(".row-item.done")).to_have_count(2)
    page.fill("#strength", "100")
    assert not np.array_equal(decoded(download(page, "#save")[1]), pixels)


def test_only_what_is_computed_is_called_after(visit):
    """Answers wait until the test lets them through, so each stage of the work can be seen."""
    page = visit()
    held, let_through = {"preview": [], "denoise": []}, set()

    def hold(route) -> None:
        kind = "preview" if "preview" in route.request.url else "denoise"
        if kind in let_through:
            route.continue_()
        else:
            held[kind].append(route)

    for path in ("page/preview", "v1/denoise"):
        page.route(re.compile(path), hold)
    pixels = noisy(200, 280)
    page.set_input_files("#files", as_file("a.png", coded(pixels)))
    wait_until(page, lambda: held["preview"])
    expect(page.locator("#tag")).to_have_text("Not denoised yet")
    veiled = stage_centre(page).astype(float)
    assert veiled.mean() < 0.75 * pixels.mean()  # dimmed, so nobody takes it for the result
    let_through.add("preview")  # also one that replaces it, as after a change of the view
    held["preview"].pop().continue_()
    expect(page.locator("#tag")).to_have_text("Preview")
    assert stage_centre(page).mean() == pytest.approx(pixels.mean(), rel=0.05)
    wait_until(page, lambda: held["denoise"])
    held["denoise"].pop().continue_()
    expect(page.locator("#tag")).to_have_text("After")
    let_through.clear()
    page.fill("#strength", "170")
    wait_until(page, lambda: held["preview"])
    expect(page.locator("#tag")).to_have_text("Updating")
    assert stage_centre(page).mean() < 0.75 * pixels.mean()
    page.unroute(re.compile("page/preview"))
    held["preview"].pop().continue_()
    expect(page.locator("#tag")).to_have_text("Preview")
    with page.expect_download():
        page.click("#save")
        expect(page.locator("#save-sizes")).to_contain_text("Starts when the picture is clean")
        wait_until(page, lambda: held["denoise"])
        held["denoise"].pop().continue_()
    expect(page.locator("#save-sizes")).to_contain_text(re.compile("[0-9]{3} KB before, "))


def test_a_large_image_opens_pixel_by_pixel_where_its_noise_is_clear(visit):
    page = visit()
    pixels = np.full((1600, 2400, 3), 90, np.uint8)
    pixels[200:700, 1500:2200] = noisy(500, 700)
    asked, held = [], []

    def hold(route) -> None:
        held.append(route)

    page.on("request", lambda request: asked.append(request.url))
    page.route("**/v1/denoise*", hold)
    page.set_input_files("#files", as_file("a.png", coded(pixels)))
    expect(page.locator("#zoom")).to_have_text("100 %")
    expect(page.locator("#tag")).to_have_text("Preview")
    page.fill("#split", "0")
    preview = stage_pixels(page)
    wait_until(page, lambda: held)
    held.pop().continue_()
    expect(page.locator("#tag")).to_have_text("After")
    # At the border of the view, too, which the model sees beyond.
    assert np.abs(stage_pixels(page).astype(int) - preview).max() <= 1
    page.fill("#split", "100")
    assert stage_roughness(page) > 5
    # The part in view is asked for before the whole image is sent.
    paths = [url.partition("?")[0].rpartition("/")[2] for url in asked]
    assert paths.index("preview") < paths.index("denoise")
    navigator = page.locator("#navigator")
    box = navigator.bounding_box()
    page.mouse.click(box["x"] + 5, box["y"] + box["height"] - 5)
    wait_until(page, lambda: stage_roughness(page) < 1)
    page.click("[data-zoom=fit]")
    expect(navigator).to_be_hidden()


@pytest.mark.slow
def test_a_large_screen_shows_what_other_settings_do_everywhere(visit):
    page = visit(size=(3840, 2160))
    drop(page, "a.png", size=(1800, 3400))
    expect(page.locator("#tag")).to_have_text("After")
    for strength in ("60", "150"):
        page.fill("#strength", strength)
        expect(page.locator("#tag")).to_have_text("Preview")


@pytest.mark.slow
def test_what_comes_into_view_is_computed(visit):
    page = visit()
    page.route(re.compile("v1/denoise"), lambda route: None)  # so previews stay
    drop(page, "a.png", size=(1600, 2400))
    expect(page.locator("#tag")).to_have_text("Preview")
    box = page.locator("#navigator").bounding_box()
    held = []

    def hold(route) -> None:
        held.append(route)

    page.route("**/page/preview*", hold)
    for at in (5, box["width"] - 5):  # at least one is elsewhere
        page.mouse.click(box["x"] + at, box["y"] + box["height"] - 5)
    wait_until(page, lambda: held)
    assert page.inner_text("#tag") in ("Not denoised yet", "Preview of a part")
    page.unroute("**/page/preview*")
    for route in held:
        route.continue_()
    expect(page.locator("#tag")).to_have_text("Preview")


def test_a_preview_and_the_result_share_their_noise_level(visit):
    page = visit()
    pixels = noisy(900, 1500)
    pixels[300:600, 500:1000] = 128  # a middle without noise
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "preview" in request.url else 0)
    with page.expect_response(re.compile("v1/denoise")) as answer:
        page.set_input_files("#files", as_file("a.png", coded(pixels)))
    used = float(answer.value.headers["quietpixel-sigma"])
    assert float(re.search("sigma=([0-9.]+)", sent[-1])[1]) == pytest.approx(used, rel=2e-5)


@pytest.mark.slow
def test_a_preview_of_channels_that_share_nothing_keeps_them_apart(visit):
    page = visit()
    page.route(re.compile("v1/denoise"), lambda route: None)  # so the preview stays
    channels = [noisy(160, 160, 1), noisy(160, 160, 1, seed=1).T, np.zeros((160, 160), np.uint8)]
    pixels = np.stack(channels, axis=2)
    # Not that of the example on the welcome screen, which may be asked for meanwhile.
    with page.expect_request(re.compile(r"page/preview\?channels")) as asked:
        page.set_input_files("#files", as_file("a.png", coded(pixels)))
    assert re.search(r"preview\?channels=separate&camera=0&format=pnm$", asked.value.url)
    expect(page.locator("#tag")).to_have_text("Preview")


def test_a_preview_follows_the_law_of_photon_noise_in_place_of_a_level(visit):
    page = visit()
    page.route(re.compile("v1/denoise"), lambda route: None)  # so the preview stays
    light = np.linspace(0.05, 1, 300)
    counts = np.random.default_rng(0).poisson(20 * light, (200, 300))
    pixels = np.clip(255 * counts / 20, 0, 255).astype(np.uint8)
    with page.expect_request(re.compile(r"page/preview.*law=poisson")) as asked:
        page.set_input_files("#files", as_file("a.png", coded(pixels)))
    assert "sigma=" not in asked.value.url
    expect(page.locator("#tag")).to_have_text("Preview")


def test_what_is_clicked_twice_is_done_once(visit):
    page = visit()
    drop(page, "a.png")
    expect(page.locator("#tag")).to_have_text("After")
    saved = []
    page.on("download", lambda download: saved.append(download.suggested_filename))
    for selector in ("#save", "[aria-label='Download a.png']"):
        with page.expect_download():
            page.dblclick(selector)
    box = page.locator("#rival").bounding_box()
    page.mouse.dblclick(box["x"] + 20, box["y"] + 5)  # where "Keep A" comes
    expect(page.locator("#tag-before")).to_have_text("A: Normal")
    page.wait_for_timeout(300)
    assert saved == ["a-clean.png"] * 2


def test_text_that_stays_is_not_read_aloud_again(visit):
    page = visit()
    drop(page, "a.png", "b.png")
    expect(page.locator(".row-item.done")).to_have_count(2)
    page.evaluate("""() => { window.spoken = [];
        const live = "output:not([aria-live=off]), [role=status], [aria-live=polite]";
        for (const element of document.querySelectorAll(live)) {
            new MutationObserver(() => window.spoken.push(element.id)).observe(
                element, { childList: true, characterData: true, subtree: true });
        } }""")
    page.focus("#stage")
    page.keyboard.press("ArrowRight")
    page.focus("#strength")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tag")).to_have_text("Preview")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#strength-value")).to_have_text("98 %")
    assert page.evaluate("window.spoken") == ["save-sizes"]  # the settings have changed, said once
    expect(page.locator("#split")).to_have_attribute("aria-valuetext", "50 % before")


@pytest.mark.slow
def test_removed_images_come_back(visit):
    page = visit()
    drop(page, "a.png", "b.png", "c.png")
    expect(page.locator(".row-item.done")).to_have_count(3)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.click("#clear")
    expect(page.locator("#welcome")).to_be_visible()
    page.click("#undo")
    expect(page.locator(".row-item.done")).to_have_count(3)
    assert page.locator(".row-item .name").all_inner_texts() == ["a.png", "b.png", "c.png"]
    assert not [url for url in sent if "denoise" in url]
    page.focus(".row-item.chosen .pick")
    for left in (2, 1):
        page.keyboard.press("Delete")
        expect(page.locator(".row-item")).to_have_count(left)
    for back in (2, 3):
        page.keyboard.press("Control+z")
        expect(page.locator(".row-item")).to_have_count(back)
    assert page.locator(".row-item .name").all_inner_texts() == ["a.png", "b.png", "c.png"]
    expect(page.locator("#toast")).to_be_hidden()


def test_a_reload_asks_while_results_are_not_saved(visit):
    page = visit()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    drop(page, "a.png")
    expect(page.locator(".row-item.done")).to_have_count(1)
    page.click("[data-zoom=fit]")  # browsers ask only after some use of the page
    page.reload()
    assert asked == ["beforeunload"]
    page.wait_for_selector("body[data-ready]")
    drop(page, "a.png")
    download(page, "#save")
    page.reload()
    assert asked == ["beforeunload"]


def test_a_lost_service_and_an_error_are_retried(visit):
    page = visit()
    page.route(re.compile("v1/denoise"), lambda route: route.abort())
    drop(page, "a.png")
    tile = page.locator(".row-item")
    expect(tile).to_contain_text("The service cannot be reached; trying again")
    page.unroute(re.compile("v1/denoise"))
    expect(page.locator(".row-item.done")).to_have_count(1)
    page.route(re.compile("v1/denoise"), lambda route: route.fulfill(status=500, body="{}"))
    drop(page, "b.png")
    expect(page.locator(".row-item.bad")).to_contain_text("The service answered with status 500.")
    page.unroute(re.compile("v1/denoise"))
    page.click("[aria-label='Retry b.png']", force=True)
    expect(page.locator(".row-item.done")).to_have_count(2)
    for lost, setting in (("page/preview", "150"), ("page/estimate", "60")):
        page.route(re.compile(lost), lambda route: route.abort())
        if "estimate" in lost:
            page.route(re.compile("v1/denoise"), lambda route: None)
            drop(page, "c.png")
            page.click(".row-item:has-text('c.png') .pick")
        page.fill("#strength", setting)
        expect(page.locator("#caption")).to_contain_text("The service cannot be reached")
        expect(page.locator("#tag")).to_have_text("Not denoised")
        page.unroute(re.compile(lost))
        expect(page.locator("#tag")).to_have_text("Preview")  # asked again without a click


def test_the_film_strip_by_keyboard(visit):
    page = visit(size=(1280, 720), advanced=False)
    names = [f"{number}.png" for number in range(7)]
    page.focus("#choose")
    drop(page, *names, size=(40, 60))
    expect(page.locator("#stage")).to_be_focused()
    expect(page.locator(".row-item.done")).to_have_count(7)
    visible = "tiles => tiles.filter(t => t.getBoundingClientRect().right < 940).length"
    assert page.eval_on_selector_all(".row-item", visible) >= 6
    focused = "document.activeElement.title"
    page.click(".row-item .pick >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "2.png"
    expect(page.locator(".row-item.chosen .name")).to_have_text("2.png")
    page.keyboard.press("Delete")
    expect(page.locator(".row-item")).to_have_count(6)
    assert page.evaluate(focused) == "3.png"
    with page.expect_download() as caught:
        page.keyboard.press("d")
    assert caught.value.suggested_filename == "3-clean.png"
    page.click("[aria-label='Remove 3.png']")
    assert page.evaluate(focused) == "4.png"
    page.keyboard.press("End")
    page.keyboard.press("Delete")
    assert page.evaluate(focused) == "5.png"
    for selector in ("#zip", "#clear", "#save", "#apply"):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= 720


@pytest.mark.slow
def test_forced_colours_mark_what_is_chosen(visit):
    page = visit(media={"forced_colors": "active"})
    drop(page, "a.png", "b.png")
    expect(page.locator(".row-item.done")).to_have_count(2)
    style = "(e) => { const s = getComputedStyle(e); return s.outlineStyle + s.borderTopColor; }"
    pairs = [(".row-item.chosen", ".row-item:not(.chosen)")]
    pairs.append(("[role=tab][aria-selected=true]", "[role=tab][aria-selected=false]"))
    pairs.append(("[name=mode]:checked + span", "[name=mode]:not(:checked) + span"))
    for chosen, other in pairs:
        styles = [page.eval_on_selector(each, style) for each in (chosen, other)]
        assert styles[0] != styles[1]


def test_controls_are_large_enough_for_fingers(visit):
    page = visit(size=(390, 844), has_touch=True, is_mobile=True)
    drop(page, "a.png", "b.png")
    expect(page.locator(".row-item.done")).to_have_count(2)
    page.tap("[aria-label='Remove b.png']")
    assert page.locator("#toast-text").bounding_box()["height"] < 30  # one line
    page.tap("#undo")
    for box in page.locator("label.check input").all():
        box.uncheck()
    script = """tags => tags.map(e => [e.id || e.className, e.getBoundingClientRect()])
        .filter(([, box]) => box.width && Math.min(box.width, box.height) < 24)
        .map(([name, box]) => `${name} ${box.width} x ${box.height}`)"""
    controls = "button, select, label.check, input[type=range]"
    assert page.eval_on_selector_all(controls, script) == []
    page.focus("#strength")  # whose effect is in sight
    stage, slider = (page.locator(each).bounding_box() for each in ("#stage", "#strength"))
    assert 0 <= stage["y"] < stage["y"] + stage["height"] <= slider["y"]
    moving = "element => getComputedStyle(element).transitionDuration"
    assert page.eval_on_selector("#save", moving) == "0s"  # these visitors want reduced motion
    page.tap("#tab-digits")
    expect(page.locator(".number output")).to_have_count(16)
    assert page.eval_on_selector_all(controls, script) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.slow
def test_the_bars_of_a_code_follow_its_largest_number(visit):
    code = [28.4, -12.5] + [1.0] * 14
    page = visit(size=(820, 1180))
    answer = json.dumps({"code": code, "image": [0.0] * 784})
    page.route(re.compile("page/digit"), lambda route: route.fulfill(status=200, body=answer))
    page.click("#tab-digits")
    page.click("text='7'")
    expect(page.locator(".number output").first).to_have_text("28.4")
    assert float(page.input_value("#code-0")) == pytest.approx(28.4)
    assert float(page.input_value("#code-1")) == pytest.approx(-12.5)
    boxes = [page.locator(".lab .panel").nth(n).bounding_box() for n in range(4)]
    assert len({box["x"] for box in boxes}) == len({box["y"] for box in boxes}) == 2


@pytest.mark.slow
def test_the_time_left_counts_down_between_two_tiles(visit):
    """Progress stands still while a tile is computed, which must not raise the time left."""
    page = visit()
    shares = iter([*[0.05] * 5, *[0.2] * 8, *[0.4] * 500])
    page.route(re.compile("v1/denoise"), lambda route: None)

    def report(route) -> None:
        names = re.findall("job=([0-9a-f]+)", route.request.url)
        route.fulfill(status=200, body=json.dumps(dict.fromkeys(names, next(shares))))

    page.route(re.compile("page/progress"), report)
    drop(page, "a.png")
    seen = []

    def collect() -> bool:
        found = re.search("about ([0-9]+) s left", page.locator(".row-item .state").inner_text())
        seen.extend([int(found[1])] if found else [])
        return len(seen) > 30

    wait_until(page, collect)
    state, bar = (
        page.locator(f".row-item {part}").bounding_box() for part in (".state", "progress")
    )
    assert state["y"] + state["height"] <= bar["y"]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[-1]


def test_one_visit_by_hand_through_settings_and_views(visit):
    """A bit of each of the slow tests of this module, at the price of one page."""
    page = visit()
    drop(page, "a.png")
    expect(page.locator("#noise-words")).to_have_text(re.compile("Noise: (very )?strong"))
    expect(page.locator("#tag")).to_have_text("After")
    page.fill("#split", "0")
    after = stage_roughness(page)
    page.focus("#stage")
    page.keyboard.down("o")
    wait_until(page, lambda: stage_roughness(page) > 1.3 * after)
    page.keyboard.up("o")
    for key, caption in (("1", "100 %"), ("+", "200 %")):
        page.keyboard.press(key)
        expect(page.locator("#zoom")).to_have_text(caption)
    page.click("label:has([name=amount][value='60'])")
    expect(page.locator("#strength-value")).to_have_text("60 %")
    page.click("#rival")
    expect(page.locator("#tag-before")).to_have_text("A: Light")
    page.click("#keep-first")
    # Sliders are read aloud with their unit.
    expect(page.locator("#sigma-value")).to_contain_text("estimated 2")
    page.uncheck("#sigma-auto")
    page.fill("#sigma", "5.5")
    expect(page.locator("#sigma")).to_have_attribute("aria-valuetext", "5.5 of 255")
    page.fill("#strength", "70")
    expect(page.locator("#strength")).to_have_attribute("aria-valuetext", "70 %")
    assert page.locator("#model option[value=blind]").inner_text() == "Your own (blind)"
    page.select_option("#model", "mnist-unet")
    expect(page.locator("#sigma-auto")).to_be_disabled()
    page.click("#card-open")
    expect(page.locator("#card")).to_be_visible()
    page.keyboard.press("Escape")
    page.click("#clear")
    page.click("#undo")
    expect(page.locator(".row-item")).to_have_count(1)


def test_the_welcome_screen_denoises_its_example_and_samples(visit):
    page = visit(advanced=False)
    expect(page.locator("#privacy")).to_contain_text("only to the machine that serves this page")
    expect(page.locator("#demo-tag")).to_have_text("After")
    page.fill("#demo-split", "100")
    wait_until(page, lambda: np.any(canvas_pixels(page, "#demo-canvas")[..., 3]))
    repaint(page)
    before = roughness(canvas_pixels(page, "#demo-canvas"))
    page.fill("#demo-split", "0")
    wait_until(page, lambda: roughness(canvas_pixels(page, "#demo-canvas")) < 0.95 * before)
    expect(page.locator("#samples button")).to_have_count(3)
    page.click("text='Microscope'")
    expect(page.locator(".row-item.done")).to_contain_text("8-bit PNG")
    assert page.locator(".row-item .name").all_inner_texts() == ["microscope.png"]


@pytest.mark.slow
def test_a_dropped_picture_does_not_wait_for_the_example(visit):
    page = visit()
    page.route("**/page/estimate", lambda route: None)  # never answered
    with page.expect_request("**/page/estimate"):
        page.reload()
    with page.expect_event("requestfailed", lambda request: "estimate" in request.url) as ended:
        page.set_input_files("#files", as_file("a.png", coded(noisy())))
    assert ended.value.failure == "net::ERR_ABORTED"
    page.unroute("**/page/estimate")
    page.click("#clear")
    expect(page.locator("#demo-tag")).to_have_text("After")  # goes on once it is seen again


@pytest.mark.slow
def test_the_noise_is_named_and_three_buttons_set_the_strength(visit):
    page = visit(advanced=False)
    expect(page.locator("#model")).to_be_hidden()
    drop(page, "a.png")
    words = page.locator("#noise-words")
    expect(words).to_have_text(re.compile("Noise: (very )?strong"))
    page.click("label:has([name=amount][value='60'])")
    expect(page.locator("#strength-value")).to_have_text("60 %")
    page.fill("#strength", "150")
    expect(page.locator("[name=amount][value='150']")).to_be_checked()
    page.fill("#strength", "151")
    expect(page.locator("[name=amount]:checked")).to_have_count(0)
    page.click("#advanced summary")
    page.select_option("#model", "blind")  # its level cannot be raised
    expect(page.locator("[name=amount][value='150']")).to_be_disabled()


@pytest.mark.slow
def test_coarse_grain_is_named(visit):
    page = visit()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 36, (200, 280))
    grain = sum(np.roll(grain, (y, x), (0, 1)) for y in range(3) for x in range(3)) / 3
    pixels = np.rint(np.clip(128 + grain, 0, 255)).astype(np.uint8)[..., np.newaxis].repeat(3, 2)
    page.set_input_files("#files", [as_file(f"{name}.png", coded(pixels)) for name in "ab"])
    expect(page.locator("#noise-words")).to_contain_text("coarse grain")
    expect(page.locator(".row-item.done")).to_have_count(2)
    held = []

    def hold(route) -> None:
        held.append(route)

    page.route("**/page/estimate", hold)
    page.locator(".row-item .pick").nth(1).click()  # its level is known from its result
    wait_until(page, lambda: held)
    page.click("[data-zoom=in]")  # shows the result, which needs no estimate
    repaint(page)
    held[0].continue_()
    expect(page.locator("#noise-words")).to_contain_text("coarse grain")


@pytest.mark.slow
def test_the_original_shows_while_a_button_or_key_is_held(visit):
    page = visit()
    drop(page, "a.png")
    expect(page.locator("#tag")).to_have_text("After")
    page.fill("#split", "0")
    after = stage_roughness(page)
    box = page.locator("#original").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    for press, release in (
        (page.mouse.down, page.mouse.up),
        (lambda: page.keyboard.down("o"), lambda: page.keyboard.up("o")),
    ):
        press()
        wait_until(page, lambda: stage_roughness(page) > 1.3 * after)
        expect(page.locator("#tag")).to_be_hidden()
        release()
        wait_until(page, lambda: stage_roughness(page) < 1.1 * after)
        expect(page.locator("#tag")).to_be_visible()
        page.focus("#stage")


@pytest.mark.slow
def test_two_settings_are_compared_and_one_is_kept(visit):
    page = visit()
    drop(page, "a.png")
    expect(page.locator("#tag")).to_have_text("After")

    def sides() -> tuple[float, float]:
        shown = stage_pixels(page)
        middle = shown.shape[1] // 2
        return roughness(shown[:, : middle - 30]), roughness(shown[:, middle + 30 :])

    held = []

    def hold_first(route) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    noisy_side, clean_side = sides()
    page.route("**/page/preview*", hold_first)
    assert clean_side < 0.75 * noisy_side
    for keep in ("first", "second"):
        page.fill("#strength", "100")
        held.clear()
        page.click("#rival")
        expect(page.locator("#keep-second")).to_be_focused()
        expect(page.locator("#tag-before")).to_have_text("A: Not denoised yet")
        wait_until(page, lambda: held)
        held[0].continue_()
        expect(page.locator("#tag-before")).to_have_text("A: Normal")
        wait_until(page, lambda: sides()[0] < 1.1 * clean_side)
        page.fill("#strength", "20")
        expect(page.locator("#tag")).to_have_text("B: 20 %")
        wait_until(page, lambda: sides()[1] > 1.1 * clean_side and sides()[0] < 1.1 * clean_side)
        page.click(f"#keep-{keep}")
        expect(page.locator("#tag-before")).to_have_text("Before")
        expect(page.locator("#strength")).to_have_value({"first": "100", "second": "20"}[keep])
        wait_until(page, lambda: sides()[0] > 0.9 * noisy_side)


def test_light_and_dark(visit):
    page = visit(media={"color_scheme": "dark"})
    theme = page.locator("html")
    expect(theme).to_have_attribute("data-theme", "dark")
    page.click("#theme")
    expect(theme).to_have_attribute("data-theme", "light")
    page.reload()
    expect(theme).to_have_attribute("data-theme", "light")


def test_the_page_asks_for_the_token(visit):
    page = visit(service={"token": "secret"}, ready=False, size=(320, 640))
    title = page.locator("#token-title")
    expect(title).to_be_visible()
    right = "element => element.getBoundingClientRect().right"
    inner, outer = (page.eval_on_selector(each, right) for each in ("#token-text", "#token form"))
    assert inner <= outer
    for reason, attempt in (("This service needs a token", "wrong"), ("is wrong", "secret")):
        expect(title).to_contain_text(reason)
        page.fill("#token-text", attempt)
        page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#files", as_file("a.png", coded(noisy())))
    expect(page.locator(".row-item.done")).to_have_count(1)


def test_a_page_that_cannot_start_offers_nothing(visit):
    page = visit("/healthz", ready=False)
    page.route(re.compile("page/setup"), lambda route: route.abort())
    page.goto(page.url.replace("healthz", ""))
    expect(page.locator("#notice")).to_contain_text("The service cannot be reached")
    for selector in ("#choose", "#tab-digits", "#demo-stage"):
        expect(page.locator(selector)).to_be_hidden()


def test_the_description_for_programs(visit):
    page = visit("/docs", ready=False)
    expect(page.locator(".call")).to_have_count(10)
    page.click("summary >> nth=0")
    expect(page.locator("table").first).to_contain_text("strength")
    expect(page.locator("table").first).to_contain_text("or auto, or string; for example 25/255")


def find_axe() -> str:
    """Return the source of axe-core, from where npm may have put it."""
    folders = [Path(os.environ.get("QUIETPIXEL_AXE", "/nowhere"))]
    folders.append(Path(__file__).parents[2] / "build/axe/node_modules/axe-core")
    if shutil.which("npm"):
        done = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False)
        folders.append(Path(done.stdout.strip()) / "axe-core")
    for folder in folders:
        if (folder / "axe.min.js").exists():
            return (folder / "axe.min.js").read_text(encoding="utf-8")
    pytest.skip("axe-core is not there: npm install --prefix build/axe axe-core")


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
def test_axe_finds_nothing(visit, scheme, rules):
    source = find_axe()
    page = visit(media={"color_scheme": scheme}, bypass_csp=True)
    check_axe(page, source, rules)
    files = [as_file("a.png", coded(noisy(60, 80))), as_file("bad.png", b"nothing")]
    page.set_input_files("#files", files)
    expect(page.locator(".row-item.done")).to_have_count(1)
    expect(page.locator(".row-item.bad")).to_have_count(1)
    check_axe(page, source, rules)
    page.click("#tab-digits")
    expect(page.locator(".number output")).to_have_count(16)
    check_axe(page, source, rules)


def test_axe_finds_nothing_in_the_card_and_the_description(visit):
    source = find_axe()
    page = visit(bypass_csp=True)
    page.set_input_files("#files", as_file("a.png", coded(noisy(60, 80))))
    page.click("#card-open")
    check_axe(page, source)
    page.goto(page.url.partition("#")[0] + "docs")
    expect(page.locator(".call")).to_have_count(10)
    page.click("summary >> nth=0")
    check_axe(page, source)


def check_axe(page, source: str, rules=()) -> None:
    page.evaluate(source)
    options = {"runOnly": rules} if rules else {}
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    assert not found, json.dumps([(each["id"], each["nodes"][0]["target"]) for each in found])
