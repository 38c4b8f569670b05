import os

import pytest

from quietpixel.cli.library_output import held_back


def test_what_is_written_below_python_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(2, b"I0000 oneDNN custom operations are on.\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_it_is_given_out_where_something_fails(capfd: pytest.CaptureFixture[str]) -> None:
    @held_back()
    def fail() -> None:
        os.write(2, b"the reason\n")
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        fail()
    assert capfd.readouterr().err == "the reason\n"
