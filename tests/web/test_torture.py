"""Every damaged or unusual file of `tests/torture` through the service."""

import importlib.util
import sys
from pathlib import Path

import httpx
import pytest
from web_making import detail

from quietpixel.web.options import Limits

REFUSED_LATER = {"float-with-nan"}
"""Files that can be read, but have values that the denoiser refuses."""


def load_cases():
    path = Path(__file__).parents[1] / "torture" / "factory.py"
    spec = importlib.util.spec_from_file_location("torture_factory_of_web", path)
    factory = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = factory
    spec.loader.exec_module(factory)
    return factory.CASES.values()


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_each_gives_an_image_or_an_explanation(make_client, every):
    client = make_client(Limits(max_pixels=50_000_000))
    for number, case in enumerate([*load_cases()][::every]):
        content = case.make()
        if number % 2:
            form = {"file": (f"odd{case.ending}", content)}
            answer = client.post("/v1/denoise?sigma=0.1", files=form)
        else:
            answer = client.post("/v1/denoise?sigma=0.1", content=content)
        check(case, answer)
    assert client.get("/healthz").status_code == 200
    text = client.get("/metrics").text
    assert "quietpixel_faults_total 0" in text
    assert "quietpixel_held_bytes 0" in text


def check(case, answer: httpx.Response) -> None:
    if answer.status_code == 200:
        assert case.outcome in ("picture", "either"), case.name
        assert answer.headers["content-type"].startswith("image/"), case.name
        return
    assert case.outcome in ("error", "either") or case.name in REFUSED_LATER, (
        case.name,
        answer.text,
    )
    assert answer.status_code in (413, 422), (case.name, answer.text)
    sentence = detail(answer, answer.status_code)
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("path", ["/v1/estimate", "/page/view", "/page/preview"])
def test_other_routes_withstand_them_too(client, path):
    for case in list(load_cases())[::8]:
        answer = client.post(path, content=case.make())
        assert answer.status_code in (200, 413, 422), (case.name, answer.text)
    assert "quietpixel_faults_total 0" in client.get("/metrics").text
