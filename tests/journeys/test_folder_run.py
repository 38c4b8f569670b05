"""A folder run: killed, interrupted, on a full disk, with bad files; and pipes."""

import io
import os
import re
import resource
import signal
import time

import numpy as np
import pytest
from PIL import Image

from quietpixel.batch.lock import lock_folders

from ..waiting import PATIENCE

COUNT = 30
MORE_KILLS = ((3, True), (25, False), (25, True))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def finish(process, code=0):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err.decode()
    assert b"Traceback" not in err
    return out, err.decode()


@pytest.mark.parametrize(
    ("kills", "in_place"),
    [(3, False), *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE_KILLS)],
)
def test_a_killed_run_is_finished_by_the_next(start, fill, tmp_path, kills, in_place) -> None:
    def words(folder):
        made = [folder / "in", "--recursive"]
        return [*made, "--in-place"] if in_place else [*made, "-o", folder / "out"]

    for name in ("calm", "killed"):
        fill(tmp_path / name / "in", COUNT)
    begin = time.monotonic()
    finish(start(*words(tmp_path / "calm")))
    whole = time.monotonic() - begin
    where = "in" if in_place else "out"
    wanted = contents(tmp_path / "calm" / where)
    before = contents(tmp_path / "killed" / "in")
    rng = np.random.default_rng(kills)
    for moment in rng.uniform(0.3, 1.0, kills) * whole:
        process = start(*words(tmp_path / "killed"))
        time.sleep(moment)
        process.kill()
        process.communicate()
        for path, data in contents(tmp_path / "killed" / where).items():
            assert data == wanted[path] or (in_place and data == before[path])
    finish(start(*words(tmp_path / "killed")))
    assert contents(tmp_path / "killed" / where) == wanted
    assert not list((tmp_path / "killed").rglob("*.part"))
    if not in_place:
        assert contents(tmp_path / "killed" / "in") == before


def test_the_second_run_has_nothing_to_do(start, fill, tmp_path) -> None:
    fill(tmp_path / "in", 4)
    words = [tmp_path / "in", "--recursive", "-o", tmp_path / "out"]
    finish(start(*words))
    # As of a run that was killed when it had put its last result in place.
    leftover = tmp_path / "out" / "below" / ".quietpixel-0123456789abcdef.part"
    leftover.write_bytes(b"")
    assert "4 of 4 images were done before." in finish(start(*words))[1]
    assert not leftover.exists()
    _, err = finish(start(*words, "--strength", 0.5), code=2)
    assert err.count("already exists") == 4


def test_a_full_disk_is_a_sentence(start, fill, tmp_path) -> None:
    fill(tmp_path / "in", 2, side=300)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    process = start(tmp_path / "in", "--recursive", "-o", tmp_path / "out", preexec_fn=limit)
    _, err = finish(process, code=2)
    assert "0 of 2 images are done." in err
    assert contents(tmp_path / "out") == {}


def test_bytes_in_bytes_out(start) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((5, 6), 200, np.uint8)).save(stream, "png")
    process = start("-")
    out, err = process.communicate(stream.getvalue(), timeout=PATIENCE)
    assert process.returncode == 0, err.decode()
    image = Image.open(io.BytesIO(out))
    assert image.format == "PNG"
    assert np.unique(image).tolist() == [100]


@pytest.mark.parametrize(
    "words", [["--in-place"], pytest.param(["-o", "{}/out"], marks=pytest.mark.slow)]
)
def test_two_runs_at_once_do_not_do_the_same(start, fill, tmp_path, words) -> None:
    """One waits; in place, a picture that was denoised twice would have a quarter of its values."""
    fill(tmp_path / "in", COUNT)
    before = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "in").rglob("*.png")}
    line = [tmp_path / "in", "--recursive", *(word.format(tmp_path) for word in words)]
    runs = [start(*line) for _ in range(2)]
    said = "".join(finish(run)[1] for run in runs)
    places = tmp_path / ("in" if words == ["--in-place"] else "out")
    for path in places.rglob("*.png"):
        half = np.rint(before[path.name] * (np.float32(1) / 255) * np.float32(0.5) * 255)
        assert np.array_equal(np.asarray(Image.open(path)), half.astype(np.uint8))
    assert "30 of 30 images were done before." in said
    assert "30 of 30 images were done before." in finish(start(*line))[1]
    assert not list(tmp_path.rglob(".quietpixel-lock"))


def test_a_run_waits_for_one_in_a_folder_above_or_below(start, fill, tmp_path) -> None:
    fill(tmp_path / "in", 4)
    for folder in (tmp_path / "in", tmp_path / "in" / "below"):
        with lock_folders([folder]):
            for line in ([tmp_path / "in", "--recursive"], [tmp_path / "in" / "below"]):
                run = start(*line, "--in-place")
                said = run.stderr.readline().decode()
                assert re.match(rf"Waiting for another run: process {os.getpid()} on ", said)
                assert said.endswith(f"works in '{folder}'.\n")
                run.kill()
                run.communicate()
    finish(start(tmp_path / "in", "--recursive", "--in-place"))  # the killed ones lock nothing


def test_words_in_a_pipe_are_refused(start) -> None:
    out, err = start("-").communicate(b"only words", timeout=PATIENCE)
    assert out == b""
    assert err.count(b"\n") == 1
