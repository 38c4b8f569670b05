import pytest

from quietpixel.errors import ArgumentError
from quietpixel.web.options import ServiceOptions, is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_this_machine_needs_no_token(host):
    assert is_local(host)
    assert ServiceOptions(host=host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "pictures.example"])
def test_other_machines_need_a_token_or_permission(host):
    assert not is_local(host)
    with pytest.raises(ArgumentError, match=r"needs `token`.* or `open`.*got neither"):
        ServiceOptions(host=host)
    assert ServiceOptions(host=host, token="x").known_hosts is None
    assert ServiceOptions(host=host, open=True).known_hosts is None


def test_tokens_are_checked():
    with pytest.raises(ArgumentError, match="`token` must not be empty"):
        ServiceOptions(token=" ")
    with pytest.raises(ArgumentError, match="`token` must be ASCII"):
        ServiceOptions(token="pässword")


@pytest.mark.parametrize("origin", ["*", "example.org", "https://example.org/page", "ftp://x"])
def test_origins_are_checked(origin):
    with pytest.raises(ArgumentError, match="`cors` must be the origin of one site"):
        ServiceOptions(cors=(origin,))
    assert ServiceOptions(cors=("https://example.org:8443",)).cors


def test_ports_are_checked():
    with pytest.raises(ArgumentError, match="`port` must lie between 0 and 65535; got 70000"):
        ServiceOptions(port=70000)
