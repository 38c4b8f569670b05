import pytest

from quietpixel.errors import ArgumentError
from quietpixel.web.options import Options, check_options, is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_this_machine_needs_no_token(host):
    assert is_local(host)
    check_options(Options(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "pictures.example"])
def test_others_need_a_token_or_a_word(host):
    assert not is_local(host)
    with pytest.raises(ArgumentError, match=r"needs `--token TOKEN`.* or `--open`.*got neither"):
        check_options(Options(host=host))
    check_options(Options(host=host, token="x"))
    check_options(Options(host=host, open=True))


def test_tokens_are_checked():
    with pytest.raises(ArgumentError, match="`--token` must not be empty"):
        check_options(Options(token=" "))
    with pytest.raises(ArgumentError, match="`--token` must be ASCII"):
        check_options(Options(token="pässword"))


@pytest.mark.parametrize("origin", ["*", "example.org", "https://example.org/page", "ftp://x"])
def test_origins_are_checked(origin):
    with pytest.raises(ArgumentError, match="`--cors` must be the origin of one site"):
        check_options(Options(origins=(origin,)))
    check_options(Options(origins=("https://example.org:8443",)))
