"""The OpenAPI document: what it says, and schemathesis against the service with it."""

import shutil
import subprocess
import sys
from pathlib import Path

from quietpixel.web.openapi import PARAMETERS
from quietpixel.web.options import Limits

CALLS = {
    ("post", "/v1/denoise"),
    ("post", "/v1/estimate"),
    ("get", "/v1/models"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def test_the_document_names_every_call_and_no_other(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == CALLS


def test_models_are_named_for_this_service_alone(client):
    call = client.get("/openapi.json").json()["paths"]["/v1/denoise"]["post"]
    schemas = {each["name"]: each["schema"] for each in call["parameters"]}
    assert {"photo", "mnist-unet"} <= set(schemas["model"]["enum"])
    assert "enum" not in PARAMETERS["parameters"][0]["schema"]


def test_schemathesis_finds_nothing(start, tmp_path):
    """All checks but one: that each schema-valid body is taken, for random bytes are no picture."""
    port, _ = start(Limits(pixels=200_000))
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    words = ["--checks=all", "--exclude-checks=positive_data_acceptance", "--max-examples=12"]
    done = subprocess.run(
        [program, "run", f"http://localhost:{port}/openapi.json", "--seed=1", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Tested: 6" in done.stdout
