import asyncio
import socket

import pytest
from web_making import coded, detail, noisy

from quietpixel.web.metrics import Metrics
from quietpixel.web.middleware import HEADERS, Guard
from quietpixel.web.options import ServiceOptions


def test_every_response_has_the_security_headers(client):
    answers = [client.get(path) for path in ("/", "/static/app.js", "/v1/models", "/nope")]
    answers.append(client.post("/v1/denoise", content=coded(noisy())))
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "server" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control")]
    policy = answers[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_token_is_required(make_client):
    client = make_client(token="a long secret")
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "a long secret"},
        {"Authorization": "Basic a long secret"},
    ):
        answer = client.get("/v1/models", headers=headers)
        assert "Authorization: Bearer TOKEN" in detail(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    given = {"Authorization": "Bearer a long secret"}
    assert client.get("/v1/models", headers=given).status_code == 200
    assert client.post("/v1/denoise", content=coded(noisy()), headers=given).status_code == 200


def test_a_wrong_token_is_called_wrong(make_client):
    client = make_client(token="a long secret")
    assert detail(client.get("/v1/models"), 401).startswith("This service needs a token")
    wrong = client.get("/v1/models", headers={"Authorization": "Bearer wrong"})
    assert detail(wrong, 401).startswith("The token is wrong")


def test_public_paths_need_no_token(make_client):
    client = make_client(token="secret")
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/app.js"):
        assert client.get(path).status_code == client.head(path).status_code == 200
    for path in ("/metrics", "/v1/models", "/page/setup", "/page/progress", "/static/../v1/models"):
        assert client.get(path).status_code == 401


def test_foreign_host_names_are_refused(make_client):
    client = make_client(allow_host=("pictures.example",))
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[", "evil.example:80"):
        answer = client.get("/", headers={"Host": host})
        assert "does not answer to this host name" in detail(answer, 421)
    for host in ("localhost:9", "127.0.0.1", "[::1]:80", "pictures.example"):
        assert client.get("/", headers={"Host": host}).status_code == 200


def test_with_a_token_any_host_name_is_answered(make_client):
    assert make_client(token="x").get("/", headers={"Host": "else.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_pages_of_other_sites_are_refused(client, headers):
    answer = client.post("/v1/denoise", content=coded(noisy()), headers=headers)
    assert "A page of another site may not call" in detail(answer, 403)


def test_forms_of_other_sites_are_refused(client):
    """A form navigates, as a link does, but it posts."""
    form = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for origin in ({}, {"Origin": "https://evil.example"}):
        file = {"file": ("a.png", coded(noisy()), "image/png")}
        answer = client.post("/v1/denoise", files=file, headers={**form, **origin})
        assert "A page of another site may not call" in detail(answer, 403)


def test_health_is_answered_without_a_host(start):
    port, _ = start()
    for path, status in (("/healthz", b"200"), ("/readyz", b"200"), ("/v1/models", b"421")):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert connection.recv(65536).split()[1] == status


def test_links_from_other_sites_open_the_page(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200
    own = {"Origin": f"http://{client.base_url.host}:{client.base_url.port}"}
    assert client.get("/v1/models", headers=own).status_code == 200


def test_permitted_sites_are_answered(make_client):
    client = make_client(cors=("https://friend.example",))
    friend = {"Origin": "https://friend.example"}
    answer = client.post("/v1/denoise", content=coded(noisy()), headers=friend)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    assert "Quietpixel-Sigma" in answer.headers["access-control-expose-headers"]
    asked = {**friend, "Access-Control-Request-Method": "POST"}
    assert client.options("/v1/denoise", headers=asked).status_code == 200
    assert client.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("answered", [False, True])
def test_what_the_shutdown_ends_is_503_unless_it_is_answered_already(answered):
    async def app(scope, receive, send):
        if answered:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/denoise", "headers": []}
    guard = Guard(app, ServiceOptions(token="secret"), Metrics())
    scope["headers"] = [(b"authorization", b"Bearer secret")]
    if answered:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(guard(scope, None, send))
    else:
        asyncio.run(guard(scope, None, send))
        assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
    assert [each["status"] for each in sent if "status" in each] == [200 if answered else 503]
