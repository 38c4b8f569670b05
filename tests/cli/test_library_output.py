import json
import os
import subprocess
import sys

import numpy as np
import pytest

from quietpixel.cli.library_output import held_back

PRINTING = """
import os
from quietpixel.batch import pipeline
from quietpixel.cli.main import main

read = pipeline.read_picture

def read_and_print(*words, **options):
    os.write(1, b"a line of a decoder\\n")
    return read(*words, **options)

pipeline.read_picture = read_and_print
raise SystemExit(main())
"""


@pytest.mark.parametrize("words", [["--json", "-"], ["-o", "-"]])
def test_standard_output_holds_data_alone(halver, gray, words) -> None:
    line = [sys.executable, "-c", PRINTING, "denoise", gray, "--model", halver, *words]
    done = subprocess.run(line, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"a line of a decoder\n" in done.stderr
    if words[0] == "--json":
        assert json.loads(done.stdout)["files"][0]["status"] == "done"
    else:
        assert done.stdout.startswith(b"\x89PNG")


def test_a_damaged_openexr_file_prints_nothing_on_standard_output(quietpixel, tmp_path) -> None:
    exr, path = pytest.importorskip("OpenEXR"), tmp_path / "a.exr"
    ramp = np.add.outer(np.linspace(0, 1, 64), np.linspace(0, 1, 64)).astype(np.float16)
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"Y": ramp}).write(str(path))
    content = bytearray(path.read_bytes())
    content[-20:] = bytes(range(20))
    path.write_bytes(content)
    outcome = quietpixel("denoise", path, "--json", "-")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "the file is damaged or cut short" in outcome.err
    assert json.loads(outcome.out)["files"][0]["status"] == "failed"


def test_what_is_written_below_python_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(2, b"I0000 oneDNN custom operations are on.\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize(
    ("error", "given"), [(OSError("broken"), "the reason\n"), (KeyboardInterrupt("broken"), "")]
)
def test_it_is_given_out_where_something_fails_and_not_after_ctrl_c(
    capfd: pytest.CaptureFixture[str], error: BaseException, given: str
) -> None:
    @held_back()
    def fail() -> None:
        os.write(2, b"the reason\n")
        raise error

    with pytest.raises(type(error), match="broken"):
        fail()
    assert capfd.readouterr().err == given
