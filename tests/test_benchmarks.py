"""The benchmarks keep what was written by hand, and compare like with like."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from quietpixel.files import Picture, write_picture

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def run_all(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("run_all")


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("quality")


def write_waves(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    rows, columns = np.mgrid[:48, :40]
    for number in range(count):
        waves = 128 + 90 * np.sin(rows / (4 + number)) * np.cos(columns / 7)
        picture = Picture.from_pixels(waves[..., None].astype(np.uint8))
        write_picture(picture, folder / f"{number:02}.png")


def test_what_was_written_by_hand_stays(run_all: ModuleType) -> None:
    hand = "# Results\n\nBy hand.\n"
    once = run_all.put_between_marks(hand, "# Benchmarks\n\n## Speed\n\n1\n")
    assert once.startswith(hand)
    assert "## Benchmarks\n\n### Speed\n\n1\n" in once
    twice = run_all.put_between_marks(once + "\nMore by hand.\n", "# Benchmarks\n\n2\n")
    assert twice.startswith(hand)
    assert twice.endswith("\nMore by hand.\n")
    assert "### Speed" not in twice
    assert twice.count(run_all.BEGIN) == twice.count(run_all.END) == 1


def test_a_lost_mark_is_refused(run_all: ModuleType) -> None:
    with pytest.raises(SystemExit, match="nothing was put into it"):
        run_all.put_between_marks(f"By hand.\n{run_all.BEGIN}\nold\n", "new")


def test_where_the_data_lie_is_not_published(run_all: ModuleType, tmp_path: Path) -> None:
    data = tmp_path / "data"
    out = tmp_path / "out.md"
    out.write_text(f"# Benchmarks\n\n`python benchmarks/quality.py {data}/photos`\n")
    run_all.publish(out, tmp_path / "RESULTS.md", hidden=data)
    assert "quality.py FOLDER/photos" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.parametrize("quick", [True, False])
def test_every_benchmark_that_is_run_is_there(run_all: ModuleType, quick: bool) -> None:
    jobs = list(run_all.jobs(None, Path("plots"), quick=quick))
    scripts = [job.words[0] for job in jobs if job.words[0].startswith("benchmarks/")]
    assert len(scripts) >= 3
    assert all((BENCHMARKS.parent / script).exists() for script in scripts)
    assert sum(job.lacks_data() for job in jobs) >= 2


def test_published_figures_stand_beside_a_whole_set_only(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "set12"
    write_waves(folder, 12)
    words = ["quality.py", str(folder), "median", "tv", "--plots", str(tmp_path / "plots")]
    monkeypatch.setattr(sys, "argv", words)
    quality.main()
    whole = capsys.readouterr().out
    assert "| BM3D | | 32.37 / 29.97 / 26.72 | figures of FFDNet" in whole
    assert whole.count("measured here") == 3  # median, tv, and the noisy images
    drawn = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert drawn == ["set12-noise.png", "set12-speed.png"]

    monkeypatch.setattr(sys, "argv", [*words[:3], "--sigmas", "25", "--count", "3"])
    quality.main()
    part = capsys.readouterr().out
    assert "BM3D" not in part
    assert "No published figures" in part
