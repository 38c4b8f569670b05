"""The lessons of the documentation: their parts fit together, and what they compute is right."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import quietpixel
from quietpixel.errors import MissingDependencyError
from quietpixel.imaging.uncertainty import Calibration
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import find_model
from quietpixel.web.static_page import RUNTIME_FILES, STATIC, RuntimeFilesError, read_runtime

ROOT = Path(__file__).parents[1]
LESSONS = ROOT / "docs" / "lessons"
PAGES = sorted(LESSONS.glob("*.md"))
NAMES = [page.stem for page in PAGES]
IDS = re.compile(r'(?:find|bindSlider|paint|paintGray)\(\s*"([\w-]+)"')
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def script_of(page: Path) -> str:
    return page.with_suffix(".js").read_text("utf-8")


def test_there_are_five_lessons_in_order() -> None:
    titles = {page.stem: page.read_text("utf-8").split("\n# ")[1][:2] for page in PAGES}
    assert sorted(titles.values()) == ["1.", "2.", "3.", "4.", "5."]
    menu = re.findall(r"- (\d\.).*: lessons/([\w-]+)\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert {name: number for number, name in menu} == titles


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_lesson_has_a_question_something_to_move_code_and_limits(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.search(r"^\*\*.*\?", text, re.MULTILINE)
    assert 'type="range"' in text or "!panels draw noisy" in text
    assert "## The program behind it" in text
    assert PYTHON.search(text)
    assert re.search(r"^## Where (it ends|they stop)", text, re.MULTILINE)
    for canvas in re.findall(r'<canvas id="[^>]*>', text):
        assert "aria-label=" in canvas


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_script_finds_what_it_uses(page: Path) -> None:
    source = script_of(page)
    there = set(re.findall(r'id="([\w-]+)"', page.read_text("utf-8"))) | {"notice"}
    assert not {name for name in IDS.findall(source) if name not in there}
    for path in LESSONS.glob("*.js"):
        for module in re.findall(r'from "\./([^"]+)"', path.read_text("utf-8")):
            inside = module.removeprefix("engine/static/")
            assert (LESSONS / module if inside == module else STATIC / inside).is_file()
    assert f'src="{page.stem}.js"' in page.read_text("utf-8")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module("lesson_pages")
    finally:
        sys.path.pop(0)


def test_the_first_lesson_shows_panels_of_the_package(hook: Any) -> None:
    text = (LESSONS / "sixteen-numbers.md").read_text("utf-8")
    shown = hook.on_page_markdown(text, None, None, None)
    assert "!panels" not in shown
    assert hook.NOTICE in shown
    needed = {*re.findall(r'find\("([\w-]+)"\)', (STATIC / "digits.js").read_text("utf-8"))}
    needed = needed - {"tab-digits", "digits"} | {"walk", "fade", "walk-from", "walk-to"}
    assert needed <= {*re.findall(r'id="([\w-]+)"', shown)}
    assert ">Draw a digit<" in shown  # its number belongs to the other page
    with pytest.raises(IndexError):
        hook.on_page_markdown("!panels nothing", None, None, None)


def test_the_engine_of_the_lessons_has_their_models_and_no_others(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "home" / "quietpixel" / "models"
    own.mkdir(parents=True)
    (own / "mine.onnx").write_bytes((LESSONS / "digit-levels.onnx").read_bytes())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in RUNTIME_FILES:
        (runtime / name).touch()
    hook.write_engine(tmp_path / "engine", runtime)
    described = json.loads((tmp_path / "engine" / "models.json").read_text("utf-8"))
    cards = {card["name"]: card for card in described["models"]}
    assert cards.keys() == {"photo", "digit-levels"}
    assert described["digits"]
    assert cards["photo"]["uncertainty"]["share"] == 0.9
    assert cards["digit-levels"]["noise"] == "gaussian:0..1,clip=no"
    assert read_card(LESSONS / "digit-levels.onnx").name == "digit-levels"
    assert (tmp_path / "engine" / "models" / "digit-levels.onnx").is_file()
    link = re.search('href="lessons/(engine/[^"]+)"', (ROOT / "docs" / "try.md").read_text("utf-8"))
    assert link
    assert "quietpixel" in (tmp_path / link[1]).read_text("utf-8")


def test_the_lesson_on_photographs_names_the_receptive_field_of_the_model() -> None:
    text = (LESSONS / "photographs.md").read_text("utf-8")
    halo = read_card(find_model("photo")).halo
    side = 2 * halo + 1
    assert re.findall(r'class="reach">(\d+)<', text) == [str(halo)] * 2
    assert f'class="field-side">{side} \u00d7 {side}<' in text
    assert f'max="{side}"' in text


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    """Open an empty page that may import the scripts of the lessons."""
    page = browser.new_page()

    def answer(route: Any) -> None:
        name = route.request.url.removeprefix("http://lessons/")
        path = STATIC / name.removeprefix("engine/static/") if "/" in name else LESSONS / name
        route.fulfill(body=path.read_bytes() if name else b"", content_type="text/javascript")

    page.route("http://lessons/**", answer)
    page.goto("http://lessons/")
    yield page
    page.close()


def test_a_hidden_picture_takes_no_room(browser: Any) -> None:
    styles = (ROOT / "docs" / "assets" / "lessons.css").read_text("utf-8")
    figure = '<div class="lesson"><figure id="clean-figure" hidden>The truth</figure></div>'
    other = browser.new_page()
    other.set_content(f"<style>{styles}</style>{figure}")
    assert not other.is_visible("#clean-figure")
    other.close()


def call(page: Any, module: str, body: str, *words: Any) -> Any:
    """Run the body of a JavaScript function of `words`, with a script of the lessons as `all`."""
    source = f"async (words) => {{ const all = await import('http://lessons/{module}'); {body} }}"
    return page.evaluate(source, list(words))


def test_error_bars_are_those_of_python(page: Any) -> None:
    rng = np.random.default_rng(0)
    denoised = rng.random((40, 50, 1), dtype=np.float32)
    noisy = denoised + 0.1 * rng.standard_normal(denoised.shape).astype(np.float32)
    card = read_card(find_model("photo")).uncertainty
    expected = Calibration.from_dict(card).half_width(noisy, denoised)
    found = call(
        page,
        "error_bars.js",
        """const image = (data) => ({ data: Float32Array.from(data), width: 50, height: 40 });
        const pixels = all.describePixels(image(words[0]), image(words[1]));
        return Array.from(all.halfWidths(pixels, words[2]));""",
        noisy.ravel().tolist(),
        denoised.ravel().tolist(),
        card,
    )
    assert np.allclose(found, expected.ravel(), rtol=1e-4)


def test_a_factor_covers_its_share(page: Any) -> None:
    body = "return all.fitFactor(words[0], words[1], words[2]);"
    errors, strengths = list(range(1, 100)), [2] * 99
    assert call(page, "error_bars.js", body, errors, strengths, 0.9) == 45  # 90th of 99, halved
    assert call(page, "error_bars.js", body, errors, strengths, 0.999) == 49.5  # the largest


def test_the_best_answer_follows_the_slope_of_the_density(page: Any) -> None:
    """Tweedie: denoised minus noisy is sigma squared times the slope of the log density."""
    points = [[-0.7, 0.1], [0.2, 0.5], [0.6, -0.3]]
    noisy, sigma, step = (0.1, -0.2), 0.4, 1e-4
    body = "return all.bestAnswer(words[0], words[1], words[2], words[3]);"

    def best(x: float, y: float) -> dict[str, Any]:
        return dict(call(page, "points.js", body, points, sigma, x, y))

    answer = best(*noisy)["answer"]
    # By the formula itself: weights of a normal density.
    distance = np.sum((np.array(points) - noisy) ** 2, axis=1)
    weights = np.exp(-distance / (2 * sigma**2))
    assert np.allclose(answer, weights @ np.array(points) / weights.sum(), atol=1e-9)
    for axis in (0, 1):
        moved = [best(*(noisy + sign * step * np.eye(2)[axis]))["logDensity"] for sign in (1, -1)]
        slope = (moved[0] - moved[1]) / (2 * step)
        assert answer[axis] - noisy[axis] == pytest.approx(sigma**2 * slope, abs=1e-6)


def test_the_network_of_the_page_learns(page: Any) -> None:
    before, after, best, slope, expected = call(
        page,
        "points.js",
        """const { normals } = await import("http://lessons/engine/static/normals.js");
        const normal = normals(1), sigma = 0.3;
        const points = Array.from({ length: 40 }, (_, at) => [Math.sin(at), Math.cos(at)]);
        const draw = (count) => {
          const clean = Array.from({ length: count }, (_, at) => points[(7 * at) % 40]);
          const noisy = clean.map((each) => each.map((value) => value + sigma * normal()));
          return { clean, noisy };
        };
        const network = new all.Network(normal, 16), test = draw(300);
        const error = (answer) => test.noisy.reduce((sum, [x, y], at) => {
          const [a, b] = answer(x, y);
          return sum + (a - test.clean[at][0]) ** 2 + (b - test.clean[at][1]) ** 2;
        }, 0) / 600;
        const ask = (x, y) => network.answer(x, y), start = error(ask);
        // The slope of one weight, by backpropagation and by differences.
        const one = draw(1), layer = network.layers[0], step = 1e-5;
        const loss = () => {
          const [a, b] = ask(...one.noisy[0]);
          return (a - one.clean[0][0]) ** 2 + (b - one.clean[0][1]) ** 2;
        };
        layer.weights[3] += step;
        const high = loss();
        layer.weights[3] -= 2 * step;
        const low = loss();
        layer.weights[3] += step;
        for (const each of network.layers) each.slope.fill(0);
        network.addSlopes(network.run(one.noisy[0]), one.clean[0], 2);
        const slope = layer.slope[3];
        for (let at = 0; at < 250; at++) {
          const { clean, noisy } = draw(32);
          network.train(noisy, clean, 0.01);
        }
        const best = error((x, y) => all.bestAnswer(points, sigma, x, y).answer);
        return [start, error(ask), best, slope, (high - low) / (2 * step)];""",
    )
    assert slope == pytest.approx(expected, rel=1e-4)
    assert best < after < 0.6 * before
    assert after < 1.6 * best


def test_squares_keep_lengths(page: Any) -> None:
    rng = np.random.default_rng(0)
    clean = rng.random((28, 56))
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    kept, lost, noise = call(
        page,
        "squares.js",
        """const image = (data) => ({ data, width: 56, height: 28 });
        const { lost, kept } = all.errorsByCount(image(words[0]), image(words[1]));
        const keep = (count) => Array.from(all.keepNumbers(image(words[1]), count).data);
        return [words[2].map(keep), Array.from(lost), Array.from(kept)];""",
        clean.ravel().tolist(),
        noisy.ravel().tolist(),
        [1, 40, 784],
    )
    means = np.repeat(noisy.reshape(28, 2, 28).mean(axis=(0, 2)), 28)
    assert np.allclose(np.reshape(kept[0], clean.shape), means, atol=1e-6)
    assert np.allclose(kept[2], noisy.ravel(), atol=1e-6)
    for count, image in zip((1, 40, 784), kept, strict=True):
        error = np.mean((np.array(image) - clean.ravel()) ** 2)
        assert lost[count] + noise[count] == pytest.approx(error, rel=1e-5)


def test_a_climb_ends_where_the_denoiser_leads(page: Any) -> None:
    """The best denoiser of two images; one step gives their mean, many steps one of them."""
    one, many, levels = call(
        page,
        "climb.js",
        """const { normals } = await import("http://lessons/engine/static/normals.js");
        const size = 64, ends = [new Float64Array(size).fill(1), new Float64Array(size).fill(-1)];
        // It finds the noise by itself, as the denoiser of the lesson has to.
        const denoise = (image) => {
          const distances = ends.map((end) =>
            end.reduce((sum, value, at) => sum + (value - image[at]) ** 2, 0));
          const square = Math.max(Math.min(...distances) / size, 1e-6);
          const share = 1 / (1 + Math.exp((distances[0] - distances[1]) / (2 * square)));
          return image.map(() => 2 * share - 1);
        };
        const climbTo = async (seed, steps, start) => {
          const levels = [];
          const onStep = ({ level }) => levels.push(level);
          const image = await all.climb(start, denoise, { steps, normal: normals(seed), onStep });
          return [image[0], levels];
        };
        const even = Float64Array.from({ length: size }, (_, at) => (at % 2 ? 3 : -3));
        const found = [];
        for (let seed = 1; seed < 13; seed++) found.push(await climbTo(seed, 40, even));
        return [(await climbTo(1, 1, even))[0], found.map(([value]) => value), found[0][1]];""",
    )
    assert one == 0
    assert np.allclose(np.abs(many), 1, atol=0.01)
    assert {np.sign(each) for each in many} == {-1, 1}
    assert len(levels) == 39
    assert levels[-1] < 0.15 * levels[0]


@pytest.fixture
def run_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[dict[str, Any], str]]:
    """Return a function that runs the code of a lesson: its names, and what it prints."""
    monkeypatch.chdir(ROOT)

    def run(name: str) -> tuple[dict[str, Any], str]:
        names: dict[str, Any] = {}
        exec(PYTHON.findall((LESSONS / f"{name}.md").read_text("utf-8"))[0], names)
        return names, capsys.readouterr().out.strip()

    return run


@pytest.mark.slow
def test_the_code_on_what_noise_teaches_runs(run_code: Any) -> None:
    assert re.fullmatch(r"\[ 0.149\d* -0.222\d*\]", run_code("what-noise-teaches")[1])


@pytest.mark.slow
def test_the_code_that_draws_runs(run_code: Any) -> None:
    names, printed = run_code("the-denoiser-draws")
    assert printed == ""
    assert names["digit"].max() > 0.9  # a stroke
    assert 0.5 < np.mean(names["digit"] < 0.1) < 0.98  # on black


@pytest.mark.slow
def test_the_code_on_photographs_finds_the_receptive_field(run_code: Any) -> None:
    names, printed = run_code("photographs")
    sides, differences = zip(*(line.split() for line in printed.splitlines()), strict=True)
    assert sides == ("1", "9", "33", str(2 * names["denoiser"].card.halo + 1))
    values = [float(each) for each in differences]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.05
    assert values[-1] == 0


@pytest.mark.slow
def test_the_code_on_error_bars_covers_what_the_page_says(run_code: Any) -> None:
    words = " ".join((LESSONS / "how-sure.md").read_text("utf-8").split())
    assert "within ten percentage points of 90 %" in words
    names, printed = run_code("how-sure")
    assert re.fullmatch(r"(8[5-9]|9[0-5])\.\d% inside", printed)
    clean, options = names["clean"], {"model": "photo", "range": (0, 1)}
    for sigma in (0.02, 0.28):  # the ends of the slider
        noise = sigma * np.random.default_rng(0).standard_normal(clean.shape)
        noisy = clean + noise.astype(np.float32)
        denoised = quietpixel.denoise(noisy, sigma=sigma, **options)
        widths = quietpixel.uncertainty(noisy, denoised, **options)
        assert np.mean(np.abs(denoised - clean) <= widths) == pytest.approx(0.9, abs=0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the documentation with its engine."""
    pytest.importorskip("mkdocs")
    try:
        read_runtime(None)
    except (MissingDependencyError, RuntimeFilesError) as error:
        pytest.skip(str(error))
    target = tmp_path_factory.mktemp("site")
    script = [sys.executable, str(ROOT / "docs" / "build.py"), str(target)]
    subprocess.run(script, check=True, cwd=ROOT, capture_output=True)
    return target


@pytest.fixture(scope="module")
def host(site: Path) -> Iterator[str]:
    """Serve the documentation as `make docs-serve` does, on a free port."""
    line = [sys.executable, "-u", "-m", "http.server", "--bind", "localhost"]
    with subprocess.Popen(
        [*line, "--directory", str(site), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port
        yield f"http://localhost:{port[1]}/lessons"
        server.terminate()


MOVED = {
    "sixteen-numbers": ("noise", "0.6", "drawn-error"),
    "what-noise-teaches": ("sigma", "0.5", "best-error"),
    "the-denoiser-draws": ("steps", "3", "progress"),
    "photographs": ("count", "7", "kept-error"),
    "how-sure": ("sigma", "0.2", "widths-text"),
}
"""For each lesson a slider, where to move it, and the text that then changes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_lesson_works_in_a_browser(
    browser: Any, host: str, name: str, width: int, scheme: Any
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.goto(f"{host}/{name}.html")
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    slider, value, answer = MOVED[name]
    filled = f"document.getElementById('{answer}').textContent"
    page.wait_for_function(filled, timeout=60_000)
    before = page.evaluate(filled)
    page.locator(f"#{slider}").fill(value)
    page.wait_for_function(f"{filled} !== {json.dumps(before)}", timeout=60_000)
    assert page.locator("#notice").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert not troubles
    page.close()


@pytest.mark.slow
def test_a_slider_moved_before_the_first_answer_waits_for_it(browser: Any, host: str) -> None:
    page = browser.new_page()
    page.route("**/*.onnx", lambda route: (page.wait_for_timeout(1000), route.continue_()))
    page.goto(f"{host}/photographs.html")
    page.wait_for_function("document.getElementById('count-value').textContent")
    for slider in ("count", "visible"):
        page.locator(f"#{slider}").fill("5")
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.locator("#notice").is_hidden()
    assert page.locator("#kept-error").inner_text().startswith("32 numbers a square: error 0.0")
    sentence = re.search(
        r"explained below\) has (0\.\d+)", (LESSONS / "photographs.md").read_text()
    )
    assert sentence
    assert page.locator("#denoised-error").inner_text() == f"Skip connections: error {sentence[1]}"
    page.close()


MOVE = """([id, value]) => {
  const control = document.getElementById(id);
  control.value = value;
  for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind));
}"""


@pytest.mark.slow
def test_error_bars_never_mix_two_settings(browser: Any, host: str) -> None:
    page = browser.new_page()
    page.goto(f"{host}/how-sure.html")
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    page.evaluate("""() => {
      window.seen = [];
      const cell = document.getElementById("inside");
      new MutationObserver(() => seen.push(cell.textContent)).observe(cell, { childList: true });
    }""")

    def shown_after(count: int, *moves: tuple[str, str]) -> list[str]:
        page.evaluate("seen.length = 0")
        for move in moves:
            page.evaluate(MOVE, move)
        page.wait_for_function(f"seen.length >= {count}", timeout=60_000)
        return page.evaluate("[...seen]")

    [noise] = shown_after(1, ("sigma", "0.28"))
    [blocks] = shown_after(1, ("kind", "blocks"))
    shown_after(1, ("kind", "white"))
    shown_after(1, ("sigma", "0.1"))
    assert shown_after(2, ("sigma", "0.28"), ("kind", "blocks")) == [noise, blocks]
    page.close()


@pytest.mark.slow
def test_a_lesson_without_models_says_so(browser: Any, host: str) -> None:
    page = browser.new_page()
    page.route("**/models.json", lambda route: route.fulfill(status=404))
    page.goto(f"{host}/how-sure.html")
    page.get_by_text("The models of this lesson are missing").wait_for(timeout=60_000)
    page.close()
