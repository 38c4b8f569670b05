"""What is said before work starts, and what is reported of it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noisy(path: Path, *, sigma: float = 0.1, shape: tuple[int, ...] = (80, 90)) -> Path:
    image = 0.5 + sigma * np.random.default_rng(0).standard_normal(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def clean(path: Path) -> Path:
    return path.with_name(f"{path.stem}-clean{path.suffix}")


# --dry-run


def test_a_dry_run_says_of_each_what_would_become_of_it(quietpixel, halver, tmp_path) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "b.png", "c.png"):
        noisy(folder / name)
    (folder / "bad.png").write_bytes(b"words")
    words = ["denoise", folder, "--model", halver]
    quietpixel(*words)
    noisy(folder / "b.png", shape=(5, 5))
    clean(folder / "c.png").unlink()
    before = snapshot(tmp_path)
    outcome = quietpixel(*words, "--dry-run")
    assert outcome.code == 1
    said = dict(line.split(": ", 1) for line in outcome.out.splitlines())
    arrow = {name: f"{folder / name} -> {clean(folder / name)}" for name in said_names(folder)}
    assert said[arrow["a.png"]] == "done already"
    assert said[arrow["b.png"]].startswith("would be refused, because '")
    assert "already exists" in said[arrow["b.png"]]
    assert said[arrow["c.png"]] == "would be written"
    unsupported = "is not an image of a supported format; convert it to a format that quietpixel"
    assert f"{unsupported} reads: jpeg, png" in said[arrow["bad.png"]]
    assert outcome.err == ("4 images: 1 would be written, 1 done already, 2 would be refused.\n")
    assert snapshot(tmp_path) == before


def said_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "clean" not in path.name]


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_makes_no_folder(quietpixel, halver, gray, tmp_path) -> None:
    words = ["-o", f"{tmp_path}/new/", "--model", halver, "--json", tmp_path / "report.json"]
    outcome = quietpixel("denoise", gray.parent, *words, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{gray} -> {tmp_path}/new/gray.png: would be written\n"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "report.json").exists()


def test_a_dry_run_of_one_missing_file(quietpixel, halver, tmp_path) -> None:
    outcome = quietpixel("denoise", tmp_path / "gone.png", "--model", halver, "--dry-run")
    assert outcome.code == 2
    assert "would be refused, because " in outcome.out
    assert "No such file or directory" in outcome.out


def test_a_dry_run_of_a_stream(quietpixel, halver, gray, tmp_path) -> None:
    outcome = quietpixel("denoise", gray, "-o", "-", "--model", halver, "--dry-run")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"{gray} -> -\n")
    missing = quietpixel("denoise", tmp_path / "gone.png", "-o", "-", "--model", halver)
    assert missing.code == 2


# Before work starts.


def test_what_will_be_refused_is_said_first(quietpixel, halver, tmp_path) -> None:
    for name in ("a.png", "b.png"):
        noisy(tmp_path / name)
    clean(tmp_path / "a.png").write_bytes(b"precious")
    words = [tmp_path / "a.png", tmp_path / "gone.png", tmp_path / "b.png"]
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert outcome.code == 1
    lines = outcome.err.splitlines()
    assert lines[0] == "2 of 3 images will be refused, see the end."
    assert "a-clean.png' already exists; choose another name, or use --overwrite" in lines[1]
    assert "gone.png' cannot be read: No such file" in lines[2]
    assert lines[3].startswith("1 of 3 images are done, ")
    assert clean(tmp_path / "a.png").read_bytes() == b"precious"


def test_an_empty_folder_is_said(quietpixel, halver, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    outcome = quietpixel("denoise", tmp_path / "none", "--model", halver)
    assert outcome.code == 2
    assert outcome.err == "No images found; use --recursive to search subfolders.\n"


def test_no_speed_is_told_where_nothing_was_done(quietpixel, halver, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((9, 7), 200, np.uint8)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no picture")
    call = ("denoise", tmp_path / "in", "--model", halver, "-o", tmp_path / "out")
    assert "1 of 2 images are done, 0.0 megapixels" in quietpixel(*call).err
    assert "1 of 2 images are done.\n" in quietpixel(*call).err


def test_two_folders_are_finished_apart(quietpixel, halver, tmp_path) -> None:
    for name in ("one", "two"):
        noisy(tmp_path / name / "a.png")
    words = ["--model", halver]
    assert quietpixel("denoise", tmp_path / "one", tmp_path / "two", *words).code == 0
    outcome = quietpixel("denoise", tmp_path / "two", *words)
    assert (outcome.code, outcome.err) == (0, "1 of 1 images were done before.\n")


# --compare with --json and a ledger


def test_a_comparison_goes_with_json(quietpixel, halver, gray, tmp_path) -> None:
    seen, report = tmp_path / "seen" / "a.png", tmp_path / "report.json"
    words = ["--model", halver, "--compare", seen, "--json", report]
    outcome = quietpixel("denoise", gray.parent, *words)
    assert outcome.code == 0, outcome.err
    (file,) = json.loads(report.read_text())["files"]
    assert file["status"] == "done"
    assert "shows before, after" in file["notes"][0]
    assert pixels(seen).shape == (9, 7 * 3 + 16)
    assert quietpixel("denoise", gray.parent, "--model", halver).err.startswith(
        "1 of 1 images were"
    )


def test_a_comparison_overwrites_nothing(quietpixel, halver, gray, tmp_path) -> None:
    seen = tmp_path / "seen.jpg"
    seen.write_bytes(b"precious")
    words = ["denoise", gray, "--model", halver, "--compare", seen, "--in-place"]
    outcome = quietpixel(*words)
    assert outcome.code == 2
    assert "seen.jpg' already exists" in outcome.err
    assert (seen.read_bytes(), pixels(gray)[0, 0]) == (b"precious", 200)
    assert quietpixel(*words, "--overwrite").code == 0


@pytest.mark.parametrize("word", ["--compare", "--json"])
@pytest.mark.parametrize("name", ["gray.png", "gray-clean.png"])
def test_reports_do_not_take_the_place_of_pictures(quietpixel, halver, gray, word, name) -> None:
    outcome = quietpixel(
        "denoise", gray, "--model", halver, "--overwrite", word, gray.parent / name
    )
    assert outcome.code == 2
    assert f"{word} must name a file of its own; " in outcome.err
    stream = quietpixel("denoise", gray, "-o", "-", "--model", halver, word, gray)
    assert f"{word} must name a file of its own; " in stream.err
    assert stream.err.endswith("Choose another name.\n")
    assert pixels(gray)[0, 0] == 200


def test_two_reports_do_not_share_a_place(quietpixel, halver, gray, tmp_path) -> None:
    same = ["--json", tmp_path / "a.png", "--compare", tmp_path / "a.png"]
    outcome = quietpixel("denoise", gray, "--model", halver, *same)
    assert (outcome.code, "--json must name a file of its own" in outcome.err) == (2, True)


def test_a_report_into_nowhere_is_refused_before_any_work(
    quietpixel, halver, gray, tmp_path
) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--json", tmp_path / "no" / "a.json")
    assert outcome.code == 2
    assert "--json must lie in a folder that exists; got '" in outcome.err
    assert outcome.err.endswith("Make the folder first.\n")
    assert not clean(gray).exists()


def test_a_comparison_of_many_is_refused(quietpixel, halver, tmp_path) -> None:
    words = [noisy(tmp_path / "a.png"), noisy(tmp_path / "b.png"), "--compare", tmp_path / "s.png"]
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert (outcome.code, "--compare needs one image; got 2." in outcome.err) == (2, True)


def test_a_stream_has_json_too(quietpixel, halver, gray, tmp_path, monkeypatch) -> None:
    report = tmp_path / "report.json"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gray.read_bytes())))
    words = ["-o", tmp_path / "out.png", "--model", halver, "--json", report]
    assert quietpixel("denoise", "-", *words).code == 0
    (file,) = json.loads(report.read_text())["files"]
    assert (file["source"], file["status"]) == ("-", "done")


def test_json_goes_to_standard_output(quietpixel, halver, gray, monkeypatch) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--json", "-")
    (file,) = json.loads(outcome.out)["files"]  # nothing but JSON, so that a program can read it
    assert (file["source"], file["status"]) == (str(gray), "done")
    assert outcome.err.startswith(f"{gray} -> {clean(gray)}  ")
    both = quietpixel("denoise", gray, "--model", halver, "--json", "-", "-o", "-")
    assert (both.code, both.out) == (2, "")
    assert "--json - and the image cannot both go to standard output" in both.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gray.read_bytes())))
    words = ["-o", clean(gray), "--overwrite", "--model", halver, "--json", "-"]
    stream = quietpixel("denoise", "-", *words)
    assert json.loads(stream.out)["files"][0]["source"] == "-"
    assert stream.err.startswith(f"- -> {clean(gray)}  ")
