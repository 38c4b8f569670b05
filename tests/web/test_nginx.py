"""The guide's configuration of nginx, used as it stands but for places and ports."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from web_making import coded, noisy

GUIDE = Path(__file__).parents[2] / "docs/how-to/serve-behind-nginx.md"
NAME = "pictures.example.org"
TOKEN = {"Authorization": "Bearer secret"}

pytestmark = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx or openssl is missing"
)


@pytest.fixture
def behind_nginx(start, tmp_path: Path):
    """Give a client that reaches the service through nginx alone, by its name and over HTTPS."""
    service, _ = start(token="secret")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    certificate, key = tmp_path / "page.pem", tmp_path / "page.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (block,) = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for written, here in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{service}"),
        (f"/etc/ssl/{NAME}.pem", str(certificate)),
        (f"/etc/ssl/{NAME}.key", str(key)),
    ):
        assert written in block
        block = block.replace(written, here)
    config = tmp_path / "nginx.conf"
    config.write_text(frame(tmp_path, block), encoding="utf-8")
    with subprocess.Popen(["nginx", "-c", config, "-e", tmp_path / "error.log"]) as server:
        try:
            trusted = ssl.create_default_context(cafile=str(certificate))
            with httpx.Client(
                base_url=f"https://127.0.0.1:{port}", verify=trusted, trust_env=False, timeout=30,
                headers={"Host": NAME},
                event_hooks={"request": [lambda r: r.extensions.update(sni_hostname=NAME)]},
            ) as client:  # fmt: skip
                wait_for(client, tmp_path / "error.log")
                yield client
        finally:
            server.terminate()


def frame(folder: Path, block: str) -> str:
    """Return a whole configuration that keeps all files in `folder`."""
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {folder}/{name}; " for name in temporary)
    user = "user root;" if os.getuid() == 0 else ""
    return (
        f"{user} daemon off; pid {folder}/pid; events {{}}\n"
        f"http {{ access_log off; {places}\n{block}\n}}\n"
    )


def wait_for(client: httpx.Client, log: Path) -> None:
    for _ in range(100):
        try:
            client.get("/healthz")
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text(encoding="utf-8"))


def test_a_picture_comes_back_clean_through_nginx(behind_nginx):
    large = coded(noisy(700, 900))
    assert len(large) > 2**20  # more than nginx takes where nothing is said
    answer = behind_nginx.post("/v1/denoise", content=large, headers=TOKEN)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content[:4] == b"\x89PNG"


def test_refusals_of_the_service_and_of_nginx(behind_nginx):
    assert behind_nginx.get("/").status_code == 200
    refused = behind_nginx.post("/v1/denoise", content=coded(noisy()))
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    too_large = bytes(129 * 2**20)
    try:
        status = behind_nginx.post("/v1/denoise", content=too_large, headers=TOKEN).status_code
    except httpx.WriteError:  # nginx answered and left before all of it was sent
        status = 413
    assert status == 413
