"""Fixtures and settings for all tests."""

import contextlib
import gc
import os
import shutil
import signal
from collections.abc import Iterator

import hypothesis
import pytest

from quietpixel.evaluation import evaluator
from quietpixel.inference import denoiser

# Neither a slow example nor slow data is a failure: that depends on what else the machine does.
any_speed = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("fast", max_examples=50, derandomize=True, **any_speed)
hypothesis.settings.register_profile("thorough", max_examples=500, **any_speed)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# A shell starts background jobs with Ctrl-C ignored, which the commands under test would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


SLOWEST = (
    "web/test_page.py", "cluster/test_files.py", "training/test_training.py",
    "web/test_static_page.py", "workflows/test_train_evaluate.py", "web/test_schema.py",
    "cluster/test_large_image.py", "workflows/test_calibrate.py", "test_docs_commands.py",
    "training/test_folder_data.py", "journeys/", "workflows/", "training/", "web/", "cluster/",
    "test_toys.py", "test_lessons.py", "test_examples.py", "torture/", "field/", "cli/",
)  # fmt: skip
"""Modules and folders that take longest, those of all others last."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what stays: that took a fifth of the time of collecting."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(700, 10, 100)  # of all objects rarely: with 10, 2 % of the time of tests
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest modules first: begun late, one would keep a single core busy at the end."""

    def rank(item: pytest.Item) -> int:
        below = item.nodeid.partition("tests/")[2]
        return next((n for n, name in enumerate(SLOWEST) if below.startswith(name)), len(SLOWEST))

    items.sort(key=rank)  # keeps the order within a module


@pytest.fixture(scope="module")  # its event loop would disturb other modules
def browser():
    """Open a headless browser; skip the test where none is installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    # The shell is the same engine without a browser around it, which takes a fifth of the time.
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        assert not os.environ.get("CI"), "Chromium is missing; .ci/run installs it."
        pytest.skip("Chromium is not installed (on Debian: apt install chromium).")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="session")
def opened_once():
    """Let denoisers of one process share engines of one thread.

    Opening one takes longer than a small image, and threads of several test processes wait for
    each other: on a busy machine a second of work took a minute.
    """
    open_engine, opened = denoiser.open_engine, {}

    def open_shared(path, *, cache, threads, **options):
        found = os.stat(path)
        # Not by `cache`: most tests have one of their own, and the engine is the same.
        key = str(path), found.st_mtime_ns, found.st_size, threads, *sorted(options.items())
        if key not in opened:
            opened[key] = open_engine(path, cache=cache, threads=threads or 1, **options)
        if len(opened) > 32:
            opened.pop(next(iter(opened)))
        return opened[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoiser, "open_engine", open_shared)
        yield


@pytest.fixture(autouse=True, scope="session")
def memory_unmeasured():
    """Let evaluations start no process for each method; test_memory_use.py measures for real."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator, "measure_peak", lambda method, noisy: 2**26)
        yield


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Let models train uncompiled: compiling took two thirds of the time of a run of few steps."""
    from quietpixel.training import trainer

    build = trainer._compile

    def build_eager(*words):
        model = build(*words)
        model.run_eagerly = True
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_compile", build_eager)
        yield


@pytest.fixture(scope="module")
def eager() -> Iterator[None]:
    """Let the models of a module train uncompiled."""
    with uncompiled():
        yield


@pytest.fixture(scope="module")
def shared_export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let runs of equal layers share the ONNX file of the first, with the card of each.

    For modules whose tests read no result of a model: an export takes longer than a short run.
    """
    from quietpixel.inference.model_file import replace_card
    from quietpixel.training import run_outputs

    export, exported = run_outputs.export_onnx, {}

    def export_once(model, path, card):
        key = str([(type(layer), [w.shape for w in layer.weights]) for layer in model.layers])
        if key not in exported:
            exported[key] = tmp_path_factory.mktemp("exported") / "model.onnx"
            export(model, exported[key], card)
        replace_card(exported[key], path, card)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_outputs, "export_onnx", export_once)
        yield


@pytest.fixture(scope="module")
def few_squares() -> Iterator[None]:
    """Let calibrations draw 20 squares: 640 took 3 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quietpixel.workflows.calibrate.SQUARES", 20)
        yield


@pytest.fixture(scope="module")
def few_digits() -> Iterator[None]:
    """Let the set "digits" have 256 images for training and 64 for each other purpose."""
    from quietpixel.data import registry

    choose = registry.choose_rows

    def choose_few(labels):
        return {
            split: rows[: 256 if split == "train" else 64] for split, rows in choose(labels).items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "choose_rows", choose_few)
        yield


@pytest.fixture(params=["uncompiled", pytest.param("compiled", marks=pytest.mark.slow)])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the models of a test train uncompiled, and once more, as a slow test, compiled."""
    with uncompiled() if request.param == "uncompiled" else contextlib.nullcontext():
        yield


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs end without calibration and report, which take two thirds of a short run's time."""
    for name in ("_calibration_pairs", "show_run"):
        monkeypatch.setattr(f"quietpixel.workflows.train_run.{name}", lambda *args, **options: [])


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs end without the ONNX file, which takes a second, where a test reads other files."""
    monkeypatch.setattr("quietpixel.training.run_outputs.export_anywhere", lambda *words: None)
