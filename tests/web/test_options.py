import pytest

from quietpixel.errors import ArgumentError
from quietpixel.web.options import Limits, ServiceOptions, is_local


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
    for token in ("pässword", " space", "line\n"):
        with pytest.raises(ArgumentError, match="`token` must be of ASCII letters"):
            ServiceOptions(token=token)


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://example.org/page", "ftp://x", "https://a b", "http:"]
)
def test_origins_are_checked(origin):
    with pytest.raises(ArgumentError, match="`cors` must be the origin of one site"):
        ServiceOptions(cors=(origin,))
    assert ServiceOptions(cors=("https://example.org:8443",)).cors


def test_ports_are_checked():
    with pytest.raises(ArgumentError, match="`port` must lie between 0 and 65535; got 70000"):
        ServiceOptions(port=70000)


@pytest.mark.parametrize("host", ["", "a b", "http://x/y", "name:80", "[::1]", "*"])
def test_hosts_are_checked(host):
    with pytest.raises(ArgumentError, match="`allow_host` must be an address or a name"):
        ServiceOptions(allow_host=(host,))
    with pytest.raises(ArgumentError, match="`host` must be an address or a name"):
        ServiceOptions(host=host, open=True)


def test_the_names_of_hosts_are_compared_in_lower_case_as_they_are_received():
    assert "pictures.example" in ServiceOptions(allow_host=("Pictures.Example",)).known_hosts


@pytest.mark.parametrize("proxy", ["nonsense", "", "*", "10.0.0.1/8"])
def test_proxies_are_addresses_or_networks(proxy):
    with pytest.raises(ArgumentError, match="`trusted_proxy` must be an IP address or a network"):
        ServiceOptions(trusted_proxy=(proxy,))
    assert ServiceOptions(trusted_proxy=("10.0.0.0/8", "::1"))


def test_the_largest_upload_fits_into_the_memory_for_uploads():
    assert ServiceOptions(limits=Limits(max_body=5, max_held=5))
    with pytest.raises(ArgumentError, match=r"`max_held` must be at least `max_body`.*got 5 and 6"):
        ServiceOptions(limits=Limits(max_body=6, max_held=5))
