"""Jobs: work that goes on without its client."""

import json
import re

import httpx
import pytest
from web_making import coded, detail, noisy, wait_for

from quietpixel.web import jobs
from quietpixel.web.options import Limits


def wait_until_done(client: httpx.Client, place: str) -> dict:
    wait_for(lambda: client.get(place).json()["state"] in ("done", "failed"))
    return client.get(place).json()


def test_a_job_gives_what_a_request_gives(client):
    file = {"file": ("a.png", coded(noisy()))}
    direct = client.post("/v1/denoise?strength=0.5", files=file)
    answer = client.post("/v1/jobs?strength=0.5", files=file)
    assert answer.status_code == 202
    place = answer.headers["location"]
    assert place == f"/v1/jobs/{answer.json()['id']}"
    assert wait_until_done(client, place)["progress"] == 1
    result = client.get(f"{place}/result")
    assert result.content == direct.content
    for name in ("content-disposition", "quietpixel-sigma", "content-type"):
        assert result.headers[name] == direct.headers[name]
    assert client.get(f"{place}/result").content == direct.content  # until it is deleted
    # The service notes a little later than the client that an answer is sent.
    wait_for(lambda: client.app.state.shared.memory.bytes == len(direct.content))
    assert client.delete(place).status_code == 204
    assert client.app.state.shared.memory.bytes == 0
    wrong = client.put(place)
    assert "it takes DELETE, GET." in detail(wrong, 405)
    assert wrong.headers["allow"] == "DELETE, GET"
    for method, path in (("GET", place), ("GET", f"{place}/result"), ("DELETE", place)):
        assert "no such job" in detail(client.request(method, path), 404)


def test_progress_is_streamed_until_the_end(client, slow):
    place = client.post("/v1/jobs", content=coded(noisy())).headers["location"]
    events = []
    with client.stream("GET", place, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if found := re.match("data: (.+)", line):
                events.append(json.loads(found[1]))
                if events[-1]["progress"] == 0.25:
                    assert "not done yet" in detail(client.get(f"{place}/result"), 409)
                    slow.released.set()
    assert [event["state"] for event in events][-2:] == ["working", "done"]


def test_a_deleted_job_ends_its_work(client, slow):
    place = client.post("/v1/jobs", content=coded(noisy())).headers["location"]
    wait_for(lambda: slow.steps > 2)
    assert client.delete(place).status_code == 204
    wait_for(lambda: client.app.state.shared.queue.working == 0)
    assert client.app.state.shared.memory.bytes == 0


def test_a_bad_image_and_an_unknown_model_are_explained(client):
    place = client.post("/v1/jobs", content=b"nothing").headers["location"]
    status = wait_until_done(client, place)
    assert (status["state"], "not an image" in status["detail"]) == ("failed", True)
    assert "not an image" in detail(client.get(f"{place}/result"), 422)
    assert "Unknown model" in detail(client.post("/v1/jobs?model=x", content=b"x"), 422)


def test_a_job_for_too_large_an_image_says_what_would_take_it(make_client):
    client = make_client(Limits(max_pixels=100))
    place = client.post("/v1/jobs", content=coded(noisy())).headers["location"]
    remedy = "start the service with a higher `max_pixels`"
    assert remedy in wait_until_done(client, place)["detail"]
    assert remedy in detail(client.get(f"{place}/result"), 413)


def test_jobs_are_bounded_and_expire(make_client, slow, monkeypatch):
    client = make_client(Limits(queue=1))
    places = [client.post("/v1/jobs", content=coded(noisy())).headers["location"] for _ in range(3)]
    assert client.get(places[2]).json()["state"] == "waiting"
    answer = client.post("/v1/jobs", content=coded(noisy()))
    assert "Too many requests are waiting" in detail(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    monkeypatch.setattr(jobs, "KEPT", 0.05)
    slow.released.set()
    wait_for(lambda: client.get(places[2]).status_code == 404)
    wait_for(lambda: client.app.state.shared.memory.bytes == 0)
    monkeypatch.setattr(jobs, "MOST", 0)
    assert client.post("/v1/jobs", content=coded(noisy())).status_code == 503


def test_a_job_needs_the_token_of_its_service(make_client):
    client = make_client(token="secret")
    allowed = {"Authorization": "Bearer secret"}
    place = client.post("/v1/jobs", content=coded(noisy()), headers=allowed).headers["location"]
    for method in ("GET", "DELETE"):
        assert client.request(method, place).status_code == 401
    assert client.get(place, headers=allowed).status_code == 200


@pytest.mark.parametrize("path", ["/v1/jobs/0", "/v1/jobs/0/result"])
def test_a_name_that_was_never_given_is_404(client, path):
    assert "expired" in detail(client.get(path), 404)
