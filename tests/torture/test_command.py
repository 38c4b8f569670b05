"""Every bad or odd file through the command: a right picture or one clear sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

from onnx import TensorProto, helper, save_model
from torture_factory import CASES

from quietpixel.card import METADATA_KEY, Card

REFUSED_LATER = {"float-with-nan"}
"""Files that are read, and whose values the denoiser refuses."""


def write_copier(path: Path) -> None:
    shape = ["n", "h", "w", 1]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["denoised"])],
        "copier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    entry.value = Card(name="copier", architecture="copier", channels=1, halo=0).to_json()
    save_model(model, str(path))


def test_all_of_them_in_one_run(tmp_path) -> None:
    write_copier(tmp_path / "copier.onnx")
    for case in CASES.values():
        folder = tmp_path / "in" / case.name
        folder.mkdir(parents=True)
        (folder / f"odd{case.ending}").write_bytes(case.make())
    files, errors = run(tmp_path)
    assert "Traceback" not in errors
    for each in files:
        check(each, CASES[Path(each["source"]).parent.name])
    assert not list(tmp_path.rglob(".quietpixel-*.part"))


def run(folder: Path):
    words = ["denoise", "in", "--recursive", "-o", "out", "--model", "copier.onnx"]
    words += ["--max-pixels", "50000000", "--json", "report.json"]
    done = subprocess.run(
        [sys.executable, "-m", "quietpixel", *words],
        cwd=folder,
        env=os.environ | {"XDG_DATA_HOME": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr[-2000:]
    return json.loads((folder / "report.json").read_text())["files"], done.stderr


def check(each, case) -> None:
    if each["status"] == "done":
        assert case.outcome in ("picture", "either"), each
        return
    assert case.outcome in ("error", "either") or case.name in REFUSED_LATER, each
    assert each["error"].endswith("."), each
    assert "\n" not in each["error"]
    assert len(each["error"]) < 500
