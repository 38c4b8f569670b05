import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietpixel.batch.plan import make_plan
from quietpixel.errors import ArgumentError


def value_of(path: Path) -> int:
    pixels = np.asarray(Image.open(path))
    assert np.ptp(pixels) == 0
    return int(pixels.flat[0])


def test_one_file_gives_a_clean_one_beside_it(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver)
    assert outcome.code == 0, outcome.err
    assert value_of(gray.with_name("gray-clean.png")) == 100
    assert value_of(gray) == 200
    assert outcome.out.startswith(f"{gray} -> {gray.with_name('gray-clean.png')}")


def test_strength_0_changes_nothing(quietpixel, gray, halver) -> None:
    assert quietpixel("denoise", gray, "--model", halver, "--strength", 0).code == 0
    assert value_of(gray.with_name("gray-clean.png")) == 200


def test_output_may_be_a_file_or_a_new_folder(quietpixel, gray, halver, tmp_path) -> None:
    assert quietpixel("denoise", gray, "--model", halver, "-o", tmp_path / "new.png").code == 0
    assert quietpixel("denoise", gray, "--model", halver, "-o", f"{tmp_path}/a/b/").code == 0
    assert value_of(tmp_path / "new.png") == value_of(tmp_path / "a" / "b" / "gray.png") == 100


def test_nothing_is_overwritten_unless_asked(quietpixel, gray, halver, tmp_path) -> None:
    target = tmp_path / "there.png"
    target.write_bytes(b"precious")
    words = ["denoise", gray, "--model", halver, "-o", target]
    outcome = quietpixel(*words)
    assert outcome.code == 2
    assert "already exists; choose another name, or use --overwrite to replace it." in outcome.err
    assert target.read_bytes() == b"precious"
    assert quietpixel(*words, "--overwrite").code == 0
    assert value_of(target) == 100


def test_the_input_is_not_offered_to_be_overwritten(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray.parent, "-o", gray.parent, "--model", halver)
    assert outcome.code == 2
    assert f"'{gray}' is the input itself; choose another name, or use --in-place.\n" in outcome.err
    assert value_of(gray) == 200


@pytest.mark.parametrize("content", [b"", b"only words", None])
def test_one_bad_file_does_not_stop_the_others(quietpixel, gray, halver, content) -> None:
    bad = gray.with_name("bad.png")
    if content is not None:
        bad.write_bytes(content)
    outcome = quietpixel("denoise", bad, gray, "--model", halver)
    assert outcome.code == 1
    assert value_of(gray.with_name("gray-clean.png")) == 100
    *_, failure, last = outcome.err.splitlines()
    assert failure.startswith("quietpixel: ")
    assert failure.count("bad.png") == 1
    assert last.startswith("1 of 2 images are done, 0.0 megapixels in ")
    assert not bad.with_name("bad-clean.png").exists()


def test_a_warning_of_one_image_is_no_failure_of_another(quietpixel, halver, tmp_path) -> None:
    """Whole JPEGs with a harmless warning, read next to ones that are cut short, twice."""
    stream, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (200, 200), np.uint8)).save(stream, "jpeg")
    content = stream.getvalue()
    scan = content.index(b"\xff\xda")
    for number in range(30):
        (tmp_path / f"{number}-odd.jpg").write_bytes(content[:scan] + bytes(5) + content[scan:])
        (tmp_path / f"{number}-cut.jpg").write_bytes(content[: len(content) // 2])
    for number in range(2):
        words = [tmp_path, "-o", tmp_path / f"out{number}", "--json", tmp_path / "report.json"]
        assert quietpixel("denoise", *words, "--model", halver).code == 1
        report = json.loads((tmp_path / "report.json").read_text())["files"]
        for entry in report:
            odd = entry["source"].endswith("odd.jpg")
            assert entry["status"] == ("done" if odd else "failed")
            warned = [note for note in entry["notes"] if "5 extraneous bytes" in note]
            assert len(warned) == odd


def test_a_file_alone_that_is_none_is_one_line(quietpixel, tmp_path, halver) -> None:
    outcome = quietpixel("denoise", tmp_path / "none.png", "--model", halver)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "none.png" in outcome.err


def test_a_wrong_model_is_told_before_any_work(quietpixel, gray) -> None:
    outcome = quietpixel("denoise", gray, gray.with_name("b.png"), "--model", gray)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_only_inputs_for_one_output_are_refused(quietpixel, gray, halver, tmp_path) -> None:
    names = ("in/x/a.png", "in/y/a.png", "in/b.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(gray, tmp_path / name)
    folders = [tmp_path / "in", tmp_path / "in" / "x", tmp_path / "in" / "y"]
    words = ["denoise", *folders, "-o", tmp_path / "out", "--model", halver, "--json", "-"]
    for more in ((), ("--dry-run",)):
        outcome = quietpixel(*words, *more)
        assert outcome.code == 1, outcome.err
        said = outcome.err + outcome.out
        assert "x/a.png' and '" in said
        assert "y/a.png' would be written to the same file, '" in said
    files = json.loads(quietpixel(*words).out)["files"]
    states = {(Path(each["source"]).name, each["status"]) for each in files}
    assert states == {("a.png", "failed"), ("b.png", "skipped")}
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["b.png"]
    outcome = quietpixel("denoise", *folders[1:], "-o", tmp_path / "none", "--model", halver)
    assert outcome.code == 2


@pytest.mark.parametrize("word", ["--in-place", "--output"])
def test_a_suffix_that_no_result_gets_is_refused(quietpixel, gray, halver, word) -> None:
    content = gray.read_bytes()
    place = [gray.with_name("out")] if word == "--output" else []
    outcome = quietpixel("denoise", gray, "--model", halver, "--suffix", "-b", word, *place)
    assert outcome.code == 2
    assert f"got '-b' beside {word}. Omit one of them." in outcome.err
    assert (gray.read_bytes(), [*gray.parent.glob("out*")]) == (content, [])


def test_a_dry_run_names_options(quietpixel, gray, halver) -> None:
    gray.with_name(f"{gray.stem}-clean.png").touch()
    outcome = quietpixel("denoise", gray, "--model", halver, "--dry-run")
    assert "or use --overwrite to replace it" in outcome.out


def test_many_inputs_need_a_folder(tmp_path) -> None:
    file = tmp_path / "one.png"
    file.touch()
    with pytest.raises(ArgumentError, match="`output` must be a folder because"):
        make_plan([Path("a.png"), Path("b.png")], str(file))


def test_many_inputs_go_into_a_new_folder() -> None:
    jobs = make_plan([Path("a.png"), Path("b.png")], "new").jobs
    assert [job.target for job in jobs] == [Path("new/a.png"), Path("new/b.png")]


def test_a_folder_that_cannot_be_made_is_said(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "-o", f"{gray}/below/")
    assert outcome.code == 2
    assert "cannot be made" in outcome.err


def test_compare_shows_three_pictures(quietpixel, gray, halver, tmp_path) -> None:
    shown = tmp_path / "shown.png"
    outcome = quietpixel("denoise", gray, "--model", halver, "--compare", shown)
    assert outcome.code == 0, outcome.err
    assert "shows before, after, and what was removed" in outcome.err
    pixels = np.asarray(Image.open(shown))
    assert pixels.shape == (9, 7 * 3 + 16)
    assert pixels[0, 0] == 200
    assert pixels[0, 15] == 100


def test_json_says_what_became_of_each(quietpixel, gray, halver, tmp_path) -> None:
    (gray.parent / "bad.png").write_bytes(b"words")
    report = tmp_path / "report.json"
    outcome = quietpixel("denoise", gray.parent, "--model", halver, "--json", report)
    assert outcome.code == 1
    files = json.loads(report.read_text())["files"]
    assert [each["status"] for each in files] == ["failed", "done"]


def test_in_place_is_done_once(quietpixel, gray, halver) -> None:
    words = ["denoise", gray.parent, "--model", halver, "--in-place"]
    assert quietpixel(*words).code == 0
    assert value_of(gray) == 100
    outcome = quietpixel(*words)
    assert "1 of 1 images were done before." in outcome.err
    assert value_of(gray) == 100


def test_a_bad_file_alone_in_a_folder_is_named(quietpixel, tmp_path, halver) -> None:
    (tmp_path / "bad.png").write_bytes(b"words")
    outcome = quietpixel("denoise", tmp_path, "--model", halver)
    assert outcome.code == 2
    assert "bad.png" in outcome.err
