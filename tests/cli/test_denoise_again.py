"""Running again: nothing is denoised twice, nothing but regular files is replaced."""

import contextlib
import gc
import json
import os
import shlex
import shutil
import signal
import stat
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

RECORD = ".quietpixel-done.jsonl"
MARKED = ["a.png", "a.jpg", "a.webp", "a.tif", "a.avif"]
UNMARKED = ["a.bmp", "a.gif", "a.pgm"]
posix = pytest.mark.skipif(os.name == "nt", reason="Unix files")


def draw(path: Path, value: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 7), value, np.uint8)).save(path)
    return path


def mean_of(path: Path) -> float:
    return float(np.asarray(Image.open(path).convert("L")).mean())


# Results given as input.


@pytest.mark.parametrize("name", MARKED + UNMARKED)
def test_a_result_is_known_wherever_it_lies(quietpixel, halver, tmp_path, name) -> None:
    first = draw(tmp_path / "in" / name)
    words = ["--model", halver, "--in-place"]
    assert quietpixel("denoise", first.parent, *words).code == 0
    assert mean_of(first) == pytest.approx(100, abs=3)
    moved = tmp_path / "elsewhere" / f"renamed{first.suffix}"
    moved.parent.mkdir()
    shutil.copyfile(first, moved)  # touched, too
    content = moved.read_bytes()
    for more in ([], ["--strength", 0.5]):
        for place in (moved.parent, moved):
            outcome = quietpixel("denoise", place, *words, *more)
            assert outcome.code == 0, outcome.err
            assert moved.read_bytes() == content
            assert f"Skipped: '{moved}' is a result of quietpixel" in outcome.err
    streamed = quietpixel("denoise", moved, "--model", halver, "-o", "-")
    assert (streamed.code, streamed.out) == (2, "")
    assert f"'{moved}' is a result of quietpixel" in streamed.err
    outcome = quietpixel("denoise", moved, *words, "--again")
    assert outcome.code == 0
    assert mean_of(moved) == pytest.approx(50, abs=3)
    said = "It was a result of quietpixel before, and is now denoised once more." in outcome.err
    assert said == (name in MARKED)


@pytest.mark.parametrize("name", MARKED)
def test_a_result_is_known_on_another_machine(
    quietpixel, halver, tmp_path, monkeypatch, name
) -> None:
    source = draw(tmp_path / name)
    result = source.with_stem("result")
    assert quietpixel("denoise", source, "--model", halver, "-o", result).code == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    outcome = quietpixel("denoise", result, "--model", halver)
    assert outcome.code == 2
    assert "is a result of quietpixel; give --again to denoise it once more." in outcome.err
    assert not result.with_stem("result-clean").exists()


def test_the_mark_leaves_other_metadata_alone(quietpixel, halver, tmp_path) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="d" dc:title="kept"/></rdf:RDF>'
        b"</x:xmpmeta>"
    )
    image = Image.fromarray(np.full((9, 7), 200, np.uint8))
    image.save(tmp_path / "a.jpg", xmp=xmp, comment=b"a comment", exif=_camera())
    outcome = quietpixel("denoise", tmp_path / "a.jpg", "--model", halver)
    assert outcome.code == 0, outcome.err
    result = Image.open(tmp_path / "a-clean.jpg")
    assert result.info["xmp"].startswith(xmp[:-28])
    assert b'quietpixel:denoised="True"' in result.info["xmp"]
    assert result.info["comment"] == b"a comment"
    assert result.getexif()[271] == "Camera"


def _camera() -> Image.Exif:
    exif = Image.Exif()
    exif[271] = "Camera"
    return exif


def test_a_source_can_be_denoised_with_any_options(quietpixel, halver, tmp_path) -> None:
    source = draw(tmp_path / "in" / "a.bmp")
    for number, strength in enumerate((0, 1, 0.5)):
        out = tmp_path / f"out{number}"
        words = ["--model", halver, "-o", out, "--strength", strength]
        outcome = quietpixel("denoise", source.parent, *words)
        assert outcome.code == 0, outcome.err
        assert mean_of(out / "a.bmp") == 200 - 100 * strength


# The record of a folder.


def fill(tmp_path) -> list:
    for number in range(3):
        draw(tmp_path / "photos" / "in" / f"{number}.png", 200 + number)
    return [tmp_path / "photos" / "in", "-o", tmp_path / "photos" / "out"]


@pytest.mark.parametrize("change", ["emptied", "replaced by its source", "one byte"])
def test_a_changed_result_does_not_count_as_done(quietpixel, halver, tmp_path, change) -> None:
    words = ["denoise", *fill(tmp_path), "--model", halver]
    assert quietpixel(*words).code == 0
    source, result = (tmp_path / "photos" / name / "1.png" for name in ("in", "out"))
    content = result.read_bytes()
    result.write_bytes(
        {"emptied": b"", "replaced by its source": source.read_bytes()}.get(
            change, content[:-1] + b"!"
        )
    )
    outcome = quietpixel(*words)
    assert outcome.code == 1
    assert "2 of 3 images were done before." in outcome.err
    assert quietpixel(*words, "--overwrite").code == 0
    assert result.read_bytes() == content


def test_sources_and_results_may_be_moved_together(quietpixel, halver, tmp_path) -> None:
    words = fill(tmp_path)
    assert quietpixel("denoise", *words, "--model", halver).code == 0
    (tmp_path / "photos").rename(tmp_path / "moved")
    for path in (tmp_path / "moved").rglob("*.png"):
        os.utime(path)
    words = [tmp_path / "moved" / "in", "-o", tmp_path / "moved" / "out"]
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert (outcome.code, outcome.err) == (0, "3 of 3 images were done before.\n")


def test_a_run_that_met_results_of_another_does_not_spoil_its_record(
    quietpixel, halver, tmp_path
) -> None:
    words = ["denoise", *fill(tmp_path), "--model", halver]
    assert quietpixel(*words).code == 0
    refused = quietpixel(*words, "--strength", 0.5)
    outcome = quietpixel(*words)
    assert (outcome.code, outcome.err) == (0, "3 of 3 images were done before.\n")
    assert refused.code == 2


@pytest.mark.parametrize("words", [(), ("-o", "out dir"), ("--suffix", "-2"), ("-o", "in/sub")])
def test_a_zarr_is_named_with_its_command_until_its_result_exists(
    quietpixel, halver, tmp_path, monkeypatch, words
) -> None:
    """A result was an image that is not done, and its source too: exit code 1 for ever."""
    monkeypatch.chdir(tmp_path)
    draw(Path("in/a.png"))
    zarr.save_array("in/s.zarr", np.full((16, 16), 200, np.uint8))
    run = ("denoise", "in", "--recursive", "--model", halver, *words)
    first = quietpixel(*run)
    assert first.code == 1
    assert "1 of 2 images are done" in first.err
    command = first.err.partition("own name: quietpixel ")[2].partition(").")[0]
    assert quietpixel(*shlex.split(command), "--model", halver).code == 0
    again = quietpixel(*run, "--json", "-")
    assert (again.code, "1 file skipped: 1 ZARR (its result exists)." in again.err) == (0, True)
    (entry,) = json.loads(again.out)["skipped"]
    assert (entry["source"], entry["image"]) == (str(Path("in/s.zarr")), False)
    shutil.rmtree("in/s.zarr")  # its result is none that could be denoised
    assert "ZARR" not in quietpixel(*run).err


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"zarr_format": 3, "node_type": "array"}'])
def test_a_damaged_zarr_is_refused_in_a_sentence(quietpixel, halver, tmp_path, text) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text(text)
    refused = quietpixel("denoise", tmp_path / "a.zarr", "--model", halver)
    assert (refused.code, "cannot be read as a Zarr" in refused.err) == (2, True)
    assert "denoised only by its own name" in quietpixel("denoise", tmp_path).err


def test_a_record_of_version_0_1_is_read(quietpixel, halver, tmp_path) -> None:
    """In place, where a second time would show; its settings cannot be compared with today's."""
    source = draw(tmp_path / "in" / "a.png", 100)
    status = source.stat()
    line = {
        "target": str(source), "source": str(source), "settings": "0" * 32, "size": 1,
        "time": status.st_mtime_ns, "before": status.st_ino + 1,
    }  # fmt: skip
    (source.parent / RECORD).write_text(f"\n{json.dumps(line)}\n")
    content = source.read_bytes()
    outcome = quietpixel("denoise", source.parent, "--model", halver, "--in-place")
    assert outcome.code == 0
    assert "is a result of quietpixel" in outcome.err
    assert source.read_bytes() == content


def test_a_source_folder_stays_as_it_is(quietpixel, halver, tmp_path) -> None:
    words = fill(tmp_path)
    before = sorted(words[0].rglob("*")), words[0].stat().st_mtime_ns
    assert quietpixel("denoise", *words, "--model", halver).code == 0
    assert (sorted(words[0].rglob("*")), words[0].stat().st_mtime_ns) == before


@posix
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_record_that_is_no_regular_file_is_refused(quietpixel, halver, tmp_path, kind) -> None:
    words = fill(tmp_path)
    record = words[2] / RECORD
    record.parent.mkdir()
    (tmp_path / "precious").write_bytes(b"precious")
    if kind == "pipe":
        os.mkfifo(record)
    else:
        record.symlink_to(tmp_path / "precious")
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert outcome.code == 2
    assert f"'{record}' is not a regular file" in outcome.err
    assert (tmp_path / "precious").read_bytes() == b"precious"


@posix
def test_a_link_in_place_of_the_lock_is_refused(quietpixel, halver, tmp_path) -> None:
    words = fill(tmp_path)
    words[2].mkdir()
    (words[2] / ".quietpixel-lock").symlink_to(tmp_path / "other")
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert outcome.code == 2
    assert "cannot be locked" in outcome.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"target": 7}', "[]", '{"target": "a\\u0000"}'])
def test_a_record_with_strange_lines_is_read(quietpixel, halver, tmp_path, text) -> None:
    words = fill(tmp_path)
    words[2].mkdir()
    (words[2] / RECORD).write_text(f"{text}\n")
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert outcome.code == 0, outcome.err
    assert "3 of 3 images are done" in outcome.err


# What is replaced.


@posix
@pytest.mark.parametrize("kind", ["device", "pipe", "link"])
@pytest.mark.parametrize("word", ["-o", "--json", "--compare"])
def test_only_regular_files_are_replaced(quietpixel, halver, gray, kind, word) -> None:
    node = gray.with_name("node.png")
    if kind == "device":
        with contextlib.suppress(PermissionError):
            os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        if not node.exists():
            pytest.skip("making devices is not allowed here")
    elif kind == "pipe":
        os.mkfifo(node)
    else:
        node.symlink_to(gray)
    before = node.lstat()
    outcome = quietpixel("denoise", gray, "--model", halver, word, node, "--overwrite")
    assert outcome.code == 2
    after = node.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert mean_of(gray) == 200


@posix
def test_a_link_alone_cannot_be_denoised_in_place(quietpixel, halver, gray, tmp_path) -> None:
    (tmp_path / "link.png").symlink_to(gray)
    outcome = quietpixel("denoise", tmp_path / "link.png", "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "it is a link, and its file stays in place; name that file instead." in outcome.err
    assert "so there is nothing to denoise; name other files." in outcome.err
    assert mean_of(gray) == 200


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
def test_owner_and_attributes_are_kept(quietpixel, halver, gray) -> None:
    os.chown(gray, 1000, 1001)
    gray.chmod(0o640)
    with contextlib.suppress(OSError):
        os.setxattr(gray, "user.tag", b"holiday")
    tags = os.listxattr(gray)
    assert quietpixel("denoise", gray, "--model", halver, "--in-place").code == 0
    assert mean_of(gray) == 100
    status = gray.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 1001, 0o640)
    assert os.listxattr(gray) == tags


@posix
@pytest.mark.parametrize("words", [[], ["--backup", ".orig"]])
def test_a_read_only_file_is_not_replaced(quietpixel, halver, tmp_path, words) -> None:
    """A rename needs no permission of the file that it replaces, so its protection was ignored."""
    names = "a.png", "b.png"
    paths = [draw(tmp_path / name) for name in names]
    paths[0].chmod(0o444)
    outcome = quietpixel("denoise", tmp_path, "--model", halver, "--in-place", *words)
    assert (outcome.code, [mean_of(path) for path in paths]) == (1, [200, 100])
    assert "a.png' is not replaced because it is read-only; allow it by 'chmod u+w'" in outcome.err
    # What a source may not lose, a result may.
    words = ["--model", halver, "-o", tmp_path / "c.png"]
    assert quietpixel("denoise", paths[0], *words).code == 0
    assert quietpixel("denoise", paths[0], *words, "--overwrite").code == 0


def test_the_original_is_kept_on_request(quietpixel, halver, gray) -> None:
    original = gray.read_bytes()
    words = ["denoise", gray.parent, "--model", halver, "--in-place", "--backup", ".orig"]
    assert quietpixel(*words).code == 0
    kept = gray.with_name("gray.png.orig")
    assert kept.read_bytes() == original
    assert mean_of(gray) == 100
    assert "1 of 1 images were done before." in quietpixel(*words).err
    assert kept.read_bytes() == original
    outcome = quietpixel(*words, "--again")
    assert outcome.code == 2
    assert f"The backup '{kept}' already exists" in outcome.err
    assert (kept.read_bytes(), mean_of(gray)) == (original, 100)


@pytest.mark.parametrize("words", [["--backup", ".orig"], ["--in-place", "--backup", "a/b"]])
def test_a_wrong_backup_is_refused(quietpixel, halver, gray, words) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, *words)
    assert outcome.code == 2
    assert "--backup" in outcome.err
    assert mean_of(gray) == 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_a_tiff_that_does_not_fit_gives_its_space_back(quietpixel, halver, tmp_path) -> None:
    """On a small disk, a removed file that is still open would leave no room for the others."""
    import resource

    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (300, 300), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.tif")
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    words = ["denoise", tmp_path / "in", "--model", halver, "-o", tmp_path / "out"]
    gc.disable()  # it would close the files at some moment
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most[1]))
        outcome = quietpixel(*words)
        opened = [path.resolve().name for path in Path("/proc/self/fd").iterdir()]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        signal.signal(signal.SIGXFSZ, handler)
        gc.enable()
    assert outcome.err.count("larger than is allowed here") == 4
    assert not [name for name in opened if name.startswith(".quietpixel-")]


# Names on the screen.


@posix
def test_names_are_escaped(quietpixel, halver, tmp_path) -> None:
    name = "a\nb\tc\x1b[31m\u202e.png"
    draw(tmp_path / "in" / name)
    (tmp_path / "in" / f"bad{name}").write_bytes(b"words")
    words = ["denoise", tmp_path / "in", "--model", halver, "-o", tmp_path / "out"]
    dry = quietpixel(*words, "--dry-run")
    real = quietpixel(*words)
    for outcome in (dry, real):
        assert "a\\nb\\tc\\x1b[31m\\u202e.png" in outcome.out
        for text in (outcome.out, outcome.err):
            assert not {"\t", "\x1b", "\u202e"} & set(text)
    assert f"bad{'a'}\\nb\\tc" in real.err
    assert real.out.count("\n") == 1
    single = quietpixel("denoise", tmp_path / "in" / f"bad{name}", "--model", halver)
    assert single.err.count("\n") == 1
    assert "\\nb\\tc\\x1b[31m" in single.err


def test_a_folder_that_cannot_be_made_is_named_with_the_image(quietpixel, halver, tmp_path) -> None:
    source = draw(tmp_path / "in" / "deep" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").touch()
    words = "--recursive", "-o", tmp_path / "out", "--model", halver
    outcome = quietpixel("denoise", tmp_path / "in", *words)
    assert outcome.code == 2
    assert f"{source}: The folder '{tmp_path}/out/deep' cannot be made" in outcome.err
