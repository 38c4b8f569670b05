"""The application with tiny models, served from a thread."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

import httpx
import pytest

from quietpixel.errors import MissingDependencyError
from quietpixel.inference import planes
from quietpixel.inference.options import DenoiseOptions
from quietpixel.web.models import Models, find_models
from quietpixel.web.options import Limits, ServiceOptions
from quietpixel.web.server import make_app
from quietpixel.web.static_page import RuntimeFilesError, write_page

_SPEC = importlib.util.spec_from_file_location("web_making", Path(__file__).with_name("making.py"))
making = importlib.util.module_from_spec(_SPEC)
sys.modules["web_making"] = making
_SPEC.loader.exec_module(making)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a user with the models `photo`, `photo-gray` and `blind`."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    folder = data / "quietpixel" / "models"
    folder.mkdir(parents=True)
    making.write_photo(folder / "photo.onnx", 3)
    making.write_photo(folder / "photo-gray.onnx", 1)
    making.write_photo(folder / "blind.onnx", 3, blind=True)
    return {"XDG_DATA_HOME": str(data), "XDG_CACHE_HOME": str(cache)}


@pytest.fixture(autouse=True)
def use_home(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in home.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def models(home: dict[str, str]) -> Models:
    """Return the models, opened once for all tests."""
    before = {name: os.environ.get(name) for name in home}
    os.environ.update(home)
    try:
        models = find_models(DenoiseOptions(precision="f32", threads=1))
        models.warm_up()
        return models
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def start(models: Models):
    """Return a function that starts a server with options and returns its port and application."""
    with contextlib.ExitStack() as stack:

        def start_one(limits: Limits | None = None, **options):
            service = ServiceOptions(port=0, limits=limits or Limits(), **options)
            app = make_app(service, models)
            return stack.enter_context(making.running(app, service)), app

        yield start_one


@pytest.fixture
def make_client(start):
    """Return a function that starts a server with options and returns a client of it."""
    with contextlib.ExitStack() as stack:

        def make(limits: Limits | None = None, **options) -> httpx.Client:
            port, app = start(limits, **options)
            client = httpx.Client(
                base_url=f"http://localhost:{port}", trust_env=False, timeout=30,
                verify=False,  # certificates, which a client would take 10 ms to load
            )  # fmt: skip
            client.app = app
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(make_client) -> httpx.Client:
    return make_client()


@pytest.fixture
def slow(monkeypatch) -> "making.Slow":
    run = making.Slow()
    monkeypatch.setattr(planes, "run", run)
    return run


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Return a folder with the bundled models and the real onnxruntime-web, from npm."""
    folder = tmp_path_factory.mktemp("site")
    try:
        write_page(folder)
    except (MissingDependencyError, RuntimeFilesError) as error:
        pytest.skip(str(error))
    return folder
