"""The benchmarks make one page of their records, and compare like with like."""

import importlib
import json
import os
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


def test_the_page_shows_each_record_with_its_command(run_all: ModuleType, tmp_path: Path) -> None:
    records = tmp_path / "results"
    records.mkdir()
    record = {"command": "python speed.py", "date": "2026-01-02", "machine": "2 cores", "notes": []}
    tables = [{"columns": ["images", "PSNR"], "rows": [["photo", "33.70"], ["tv", "30.10"]]}]
    for name in ("cbsd68", "set12"):
        more = {"tables": tables, "seconds": 90, "machine": "2 cores, load 3.1"}
        (records / f"{name}.json").write_text(json.dumps(record | more))
    (records / "polyu.json").write_text(json.dumps(record | {"tables": tables}))
    other = {"tables": [], "machine": "9 cores", "notes": ["It took long."]}
    (records / "speed.json").write_text(json.dumps(record | other))
    run_all.write_page(records, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "how long it took (3 minutes in all),\nand the machine if it is not 2 cores.\n" in text
    assert "| images | PSNR |\n|---|---|\n| photo | 33.70 |\n| tv | 30.10 |\n" in text
    assert text.count("\n`python speed.py`, 2026-01-02, 90 s, load 3.1\n") == 2
    assert text.count("\n`python speed.py`, 2026-01-02\n") == 1
    assert "\n### CBSD68, colour, white noise\n\nModels find" in text
    assert "\n<details><summary><b>Set12, gray, white noise</b></summary>\n\nAs above" in text
    assert "It took long.\n\n`python speed.py`, 2026-01-02, 9 cores\n" in text
    assert "Not measured yet: BSD68, gray, white noise; " in text


def test_results_are_made_from_the_records(run_all: ModuleType, tmp_path: Path) -> None:
    run_all.write_page(run_all.RECORDS, tmp_path / "RESULTS.md")
    written = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == written
    plots = {path.name for path in (tmp_path / "plots").iterdir()}
    assert plots == {path.name for path in (BENCHMARKS / "plots").iterdir()}


MEASURE = """
import sys
from pathlib import Path
from record import Record
record = Record()
record.table("images", "PSNR")
record.row(sys.argv[1], "30.10")
record.save(Path(sys.argv[-1]))
sys.exit("--fail" in sys.argv)
"""


def test_a_run_replaces_its_record_unless_it_fails(
    run_all: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    script, data = tmp_path / "measure.py", tmp_path / "data"
    script.write_text(MEASURE)
    words = (str(script), str(data / "some"))
    assert run_all.run(run_all.Job("set12", words), tmp_path, {"FOLDER": data})
    record = json.loads((tmp_path / "set12.json").read_text(encoding="utf-8"))
    assert record["command"] == f"python {script} FOLDER/some"
    assert record["machine"].startswith(f"{os.cpu_count()} cores, ")
    assert 0 <= record["seconds"] < 60
    assert record["tables"][0]["rows"] == [[str(data / "some"), "30.10"]]
    assert not run_all.run(run_all.Job("set12", (*words, "--fail")), tmp_path, {"FOLDER": data})
    assert json.loads((tmp_path / "set12.json").read_text(encoding="utf-8")) == record


@pytest.mark.parametrize("quick", [True, False])
def test_every_benchmark_that_is_run_is_there(run_all: ModuleType, quick: bool) -> None:
    jobs = list(run_all.jobs(None, quick=quick))
    scripts = [job.words[0] for job in jobs]
    assert len(scripts) >= 3
    assert all((BENCHMARKS.parent / script).exists() for script in scripts)
    assert sum(job.lacks_data() for job in jobs) >= 2
    titles = importlib.import_module("results_page").SECTIONS.values()
    assert {job.name for job in jobs} <= {name for section in titles for name in section}


def test_published_figures_stand_beside_a_whole_set_only(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("quietpixel.workflows.evaluate.TUNING_COUNT", 1)
    folder = tmp_path / "set12"
    write_waves(folder, 12)
    words = ["quality.py", str(folder), "median", "tv", "--json", str(tmp_path / "set12.json")]
    monkeypatch.setattr(sys, "argv", words)
    quality.main()
    whole = capsys.readouterr().out
    assert "| BM3D | | 32.37 / 29.97 / 26.72 | figures of FFDNet" in whole
    assert whole.count("measured here") == 3  # median, tv, and the noisy images
    kept = json.loads((tmp_path / "set12.json").read_text(encoding="utf-8"))
    assert ["BM3D", "", "32.37 / 29.97 / 26.72"] in [row[:3] for row in kept["tables"][0]["rows"]]

    monkeypatch.setattr(sys, "argv", [*words[:3], "--sigmas", "25", "--count", "3"])
    quality.main()
    part = capsys.readouterr().out
    assert "BM3D" not in part
    assert "No published figures" in part
