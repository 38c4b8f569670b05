"""The real command in a separate process: start, shutdown and refused options."""

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image
from web_making import coded, detail, noisy, wait_for

from quietpixel.cli.main import main

COMMAND = [sys.executable, "-m", "quietpixel", "serve", "--port=0"]


@pytest.fixture
def launch(home, tmp_path):
    """Return a function that starts the command with options; it returns process and address."""
    processes = []

    def start_one(*words: str, **environment: str):
        process = subprocess.Popen(
            [*COMMAND, *words],
            env=os.environ | home | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        line = process.stdout.readline()
        found = re.search(r"quietpixel listens on (http://\S+) ", line)
        assert found, process.stderr.read()
        return process, found[1]

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()


HELD = """
import dataclasses, pathlib, sys, time
from quietpixel.cli import serve
from quietpixel.inference import planes
run, make_options = planes.run, serve.make_options
def held(job, on_progress):
    while not pathlib.Path("released").exists():
        on_progress(0.1)
        time.sleep(0.01)
    return run(job, on_progress)
planes.run = held
serve.make_options = lambda values: dataclasses.replace(make_options(values), grace={grace})
from quietpixel.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def launch_held(launch, monkeypatch):
    """Return a function that starts a service which works until the file `released` is there."""

    def start_one(*words: str, grace: float = 600):
        line = [COMMAND[0], "-c", HELD.format(grace=grace), *COMMAND[3:]]
        monkeypatch.setitem(globals(), "COMMAND", line)
        return launch(*words)

    return start_one


@contextlib.contextmanager
def post_image(address: str):
    """Send an image from a thread, and give its future answer once work has started."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            httpx.post, f"{address}/v1/denoise", content=coded(noisy()), timeout=120
        )
        wait_for(lambda: "quietpixel_working 1" in httpx.get(f"{address}/metrics").text)
        yield answer


@pytest.mark.parametrize(
    "kind", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_lets_the_running_request_finish_and_no_new_one_begin(launch_held, tmp_path, kind):
    process, address = launch_held("--queue=0")
    with post_image(address) as answer:
        process.send_signal(kind)
        wait_for(lambda: httpx.get(f"{address}/readyz").status_code == 503)
        assert int(httpx.get(f"{address}/readyz").headers["retry-after"]) >= 1
        assert httpx.get(f"{address}/healthz").status_code == 200
        refused = httpx.post(f"{address}/v1/denoise", content=coded(noisy()))
        assert "The service is shutting down" in detail(refused, 503)
        assert not answer.done()
        (tmp_path / "released").touch()
    assert answer.result().status_code == 200
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert '"POST /v1/denoise HTTP/1.1" 200' in errors


STOPPED_EARLY = """
import os, signal, sys
from quietpixel.web import server
make_app = server.make_app
def make(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return make_app(*arguments)
server.make_app = make
from quietpixel.cli.main import main
sys.exit(main())
"""


def test_a_signal_while_the_service_starts_ends_it(home):
    words = [COMMAND[0], "-c", STOPPED_EARLY, *COMMAND[3:]]
    process = subprocess.run(
        words, check=False, env=os.environ | home, capture_output=True, timeout=60
    )
    assert process.returncode == -signal.SIGTERM


def test_requests_beyond_the_grace_are_503_and_new_ones_do_not_prolong_it(launch_held):
    process, address = launch_held("--quiet", grace=1)
    small = coded(noisy())

    def keep_posting() -> None:
        with contextlib.suppress(httpx.HTTPError):
            while True:
                httpx.post(f"{address}/v1/denoise", content=small, timeout=60)

    with post_image(address) as answer, ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(keep_posting)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "The service is shutting down" in detail(answer.result(), 503)


def test_the_log_has_short_urls_no_files_of_the_page_and_trusts_no_forwarded_address(launch):
    forged = {"X-Forwarded-For": "203.0.113.7"}
    for words, client in (((), "127.0.0.1"), (("--trusted-proxy=127.0.0.1",), "203.0.113.7")):
        process, address = launch("--no-browser", *words)
        httpx.get(f"{address}/healthz?{'x' * 60_000}", headers=forged)
        for path in ("", "/static/base.css", "/page/progress?job=none", "/static/missing.css"):
            httpx.get(f"{address}{path}")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        line, *others = errors.splitlines()
        assert f" {client}:" in line
        assert len(line) < 300
        assert line.endswith(" 200")
        found = [each.split(" - ")[1] for each in others]
        assert found == ['"GET / HTTP/1.1" 200', '"GET /static/missing.css HTTP/1.1" 404']


FAILING = """
import asyncio, sys, uvicorn
startup = uvicorn.Server.startup
async def fail():
    raise ValueError("in a task")
async def begin(server, sockets=None):
    asyncio.ensure_future(fail())
    await startup(server, sockets)
uvicorn.Server.startup = begin
from quietpixel.cli.main import main
sys.exit(main())
"""


def test_an_error_in_a_task_that_nobody_awaits_is_logged(launch, monkeypatch):
    """The command silences loggers of libraries, and asyncio's was among them."""
    monkeypatch.setitem(globals(), "COMMAND", [COMMAND[0], "-c", FAILING, *COMMAND[3:]])
    process, _ = launch("--quiet")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert "Task exception was never retrieved" in errors
    assert "ValueError: in a task" in errors


def test_a_token_on_the_command_line_is_warned_about(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that no service starts
        assert main(["serve", "--token=secret", f"--port={taken.getsockname()[1]}"]) == 2
    errors = capsys.readouterr().err
    assert "can see --token in the list of processes; set QUIETPIXEL_TOKEN" in errors
    assert "secret" not in errors


def test_a_quiet_server_prints_nothing_and_reads_its_token_from_the_environment(launch):
    process, address = launch("--quiet", QUIETPIXEL_TOKEN="secret")
    assert httpx.get(f"{address}/v1/models").status_code == 401
    given = {"Authorization": "Bearer secret"}
    assert httpx.get(f"{address}/v1/models", headers=given).status_code == 200
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    assert (output, errors, process.returncode) == ("", "", 0)


def test_several_workers_give_the_same_result(launch):
    _, address = launch("--workers=3", "--threads=3", "--precision=f32")
    file = coded(noisy(), "PPM")
    answers = {}

    def post(number: int) -> None:
        answers[number] = httpx.post(f"{address}/v1/denoise?sigma=0.1", content=file, timeout=120)

    threads = [threading.Thread(target=post, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers.values()] == [200] * 12
    assert len({answer.content for answer in answers.values()}) == 1


WATCHED = """
import os, sys
watching = []
def watch(event, arguments):
    by_name = event == "open" and isinstance(arguments[0], str)
    if watching and by_name and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print("WROTE", arguments[0], flush=True)
sys.addaudithook(watch)
from quietpixel.web import server
old = server._Server.startup
async def startup(self, sockets=None):
    await old(self, sockets)
    watching.append(True)
server._Server.startup = startup
from quietpixel.cli.main import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory are Linux's")
def test_nothing_reaches_the_disk(launch, monkeypatch):
    """Not even forms, TIFF and WebP files, for which libraries tend to use temporary files."""
    # libvips would decode WebP into a file there from 100 MB on, and fails.
    monkeypatch.setenv("VIPS_DISC_THRESHOLD", "1000")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setitem(globals(), "COMMAND", [COMMAND[0], "-c", WATCHED, *COMMAND[3:]])
    process, address = launch("--no-browser")
    stream = io.BytesIO()
    tifffile.imwrite(stream, noisy(600, 600).astype(np.uint16), photometric="rgb")
    form = {"file": ("large.tif", stream.getvalue())}
    answer = httpx.post(f"{address}/v1/denoise?sigma=0.1", files=form, timeout=120)
    assert answer.status_code == 200
    assert len(answer.content) > 1_000_000
    assert httpx.post(f"{address}/v1/estimate", files=form, timeout=120).status_code == 200
    stream = io.BytesIO()
    Image.fromarray(noisy(60, 60)).save(stream, "webp")
    answer = httpx.post(f"{address}/v1/denoise", content=stream.getvalue(), timeout=120)
    assert answer.status_code == 200, answer.text
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert "WROTE" not in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--host", "0.0.0.0"],
            "--host '0.0.0.0' can be reached from other machines, so it needs --token",
        ),
        (["--token", ""], "--token must not be empty"),
        (["--cors", "*"], "--cors must be the origin of one site"),
        (["--max-body", "much"], "--max-body must be a size above 0, such as 1GB; got 'much'."),
        (["--max-held", "0"], "--max-held must be a size above 0"),
        (["--memory", "0"], "--memory must be"),
        (["--model", "phto"], "Unknown model 'phto': did you mean 'photo'?"),
        (["--engine", "openvno"], "did you mean 'openvino'?"),
        (
            ["--host", "203.0.113.9", "--open"],
            "on 203.0.113.9:0 (cannot assign requested address); --host must be an address of this",
        ),
        (["--host", "name.invalid", "--open"], "The service cannot listen on name.invalid:0 ("),
        (["--workers", "0"], "--workers must be a whole number"),
        (["--trusted-proxy", "nonsense"], "--trusted-proxy must be an IP address or a network"),
        (["--allow-host", ""], "--allow-host must be an address or a name"),
        (["--max-held", "1MB"], "--max-held must be at least --max-body"),
        (["--port", "70000"], "--port must be a whole number from 0 to 65535; got '70000'."),
    ],
)
def test_refused_options_are_explained(capsys, words, sentence):
    assert main(["serve", "--port=0", *words]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_an_address_in_use_is_reported(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", f"--port={port}"]) == 2
    errors = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port} (address already in use)" in errors
    assert "choose another --port" in errors


def test_a_missing_package_says_how_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "quietpixel.web.server", None)
    assert main(["serve"]) == 2
    assert "pip install 'quietpixel[web]'" in capsys.readouterr().err
