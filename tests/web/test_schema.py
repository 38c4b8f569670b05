"""The OpenAPI document, and the service tested against it by schemathesis."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quietpixel.web.options import Limits
from quietpixel.web.parameters import PARAMETERS

CALLS = {
    ("post", "/v1/denoise"),
    ("post", "/v1/estimate"),
    ("get", "/v1/models"),
    ("post", "/v1/jobs"),
    ("get", "/v1/jobs/{id}"),
    ("get", "/v1/jobs/{id}/result"),
    ("delete", "/v1/jobs/{id}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def test_the_document_lists_every_operation_and_no_other(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == CALLS


def test_the_document_lists_the_models_of_its_own_service(client):
    call = client.get("/openapi.json").json()["paths"]["/v1/denoise"]["post"]
    schemas = {each["name"]: each["schema"] for each in call["parameters"]}
    assert {"photo", "mnist-unet"} <= set(schemas["model"]["enum"])
    assert "enum" not in PARAMETERS[0]["schema"]


def test_the_token_is_declared(make_client, client):
    document = make_client(token="secret").get("/openapi.json").json()
    scheme = {"type": "http", "scheme": "bearer"}
    assert document["components"]["securitySchemes"] == {"token": scheme}
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert "security" not in client.get("/openapi.json").json()


@pytest.mark.slow
def test_schemathesis_finds_nothing(start, tmp_path):
    """All checks but one: random bytes match the schema of a body, but they are not an image."""
    port, _ = start(Limits(max_pixels=200_000), token="secret")
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    words = ["--checks=all", "--exclude-checks=positive_data_acceptance", "--max-examples=12"]
    words.append("--header=Authorization: Bearer secret")  # and so refusals without it are tested
    done = subprocess.run(
        [program, "run", f"http://localhost:{port}/openapi.json", "--seed=1", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Tested: 10" in done.stdout
