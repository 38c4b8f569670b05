"""The OpenAPI document, and the service tested against it by schemathesis."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from web_making import coded, noisy

from quietpixel.web.api import Estimate, ModelList
from quietpixel.web.jobs import JobStatus
from quietpixel.web.options import Limits
from quietpixel.web.parameters import PARAMETERS
from quietpixel.web.problems import SCHEMA

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


def test_the_document_has_examples_that_hold(client):
    document = client.get("/openapi.json").json()
    for each in document["paths"]["/v1/denoise"]["post"]["parameters"]:
        for value in each["schema"].get("examples") or each["schema"]["enum"][:1]:
            answer = client.post(
                "/v1/denoise", params={each["name"]: value}, content=coded(noisy(channels=1))
            )
            assert answer.status_code == 200, answer.text
    schemas = document["components"]["schemas"]
    for name, kind in (("Estimate", Estimate), ("ModelList", ModelList), ("JobStatus", JobStatus)):
        kind.model_validate(schemas[name]["examples"][0], strict=True)
    refused = client.post("/v1/denoise?sigma=25%25", content=b"").json()
    (problem,) = SCHEMA["examples"]
    assert {"reason", *problem} >= refused.keys() >= problem.keys()
    assert refused["detail"] == problem["detail"]


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
