"""Files from phones, cameras, scanners and editors; second readers check each result."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietpixel.cli.main import main

from ..tiny_models import write_halver
from .factory import KINDS, nclx_of, tail_of

pytestmark = pytest.mark.slow
COUNT = 4
"""Files of each kind."""
OF_THE_CODING = {
    "BackgroundColor", "ChromaFormat", "ChromaSamplePosition", "CompatibleBrands", "Compression",
    "MPImageLength", "MPImageStart", "MatrixCoefficients", "MediaDataOffset", "MediaDataSize",
    "Palette", "RowsPerStrip", "StripByteCounts", "StripOffsets", "TileByteCounts", "TileOffsets",
    "WebP_Flags",
}  # fmt: skip
"""Tags that describe how the pixels are coded, not what the image says."""
OF_THE_FILE = {"System", "File", "Composite", "IFD1", "SourceFile", "SubIFD", "ExifTool"}
"""Groups of tags that describe the file, and the new thumbnail."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Denoise all files in one run over the folder; return the folder of both."""
    folder = tmp_path_factory.mktemp("field")
    (folder / "in").mkdir()
    for name, kind in KINDS.items():
        for number in range(COUNT):
            (folder / "in" / f"{name}-{number}.{kind.suffix}").write_bytes(kind.make(number))
    model = write_halver(folder / "halver.onnx")
    words = ["denoise", str(folder / "in"), "-o", str(folder / "out"), "--model", str(model)]
    assert main([*words, "--precision", "f32", "--json", str(folder / "report.json")]) == 0
    return folder


def paths(folder: Path, name: str, number: int) -> tuple[Path, Path]:
    kind = KINDS[name]
    file = f"{name}-{number}."
    result = folder / "out" / (file + (kind.result or kind.suffix))
    return folder / "in" / (file + kind.suffix), result


def test_there_are_enough_files_and_all_are_done(run: Path) -> None:
    assert len(KINDS) >= 25
    report = json.loads((run / "report.json").read_text())["files"]
    assert len(report) >= 120
    assert {entry["status"] for entry in report} == {"done"}


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("name", KINDS)
def test_pixels_frames_and_what_is_beside_them(run: Path, name: str, number: int) -> None:
    kind = KINDS[name]
    before, after = (path.read_bytes() for path in paths(run, name, number))
    old, new = kind.read(before), kind.read(after)
    assert len(new) == len(old)
    for first, second in zip(old, new, strict=True):
        assert first.shape == second.shape
        if name == "press_jpeg":  # half the light takes more ink
            assert second.mean() > first.mean() + 0.1
            continue
        if first.ndim == 3 and first.shape[2] in (2, 4):
            np.testing.assert_array_equal(second[..., -1], first[..., -1])
            error = np.abs(second - first / 2)[..., :-1]
        else:
            error = np.abs(second - first / 2)
        assert error.mean() <= kind.tolerance
    assert tail_of(after) == tail_of(before)
    if name in ("hdr_avif", "phone_heic_hdr"):
        assert nclx_of(after) == nclx_of(before) != ()


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("animated")])
def test_durations_and_loops(run: Path, name: str) -> None:
    for number in range(COUNT):
        times = []
        for path in paths(run, name, number):
            with Image.open(path) as image:
                durations = []
                for frame in range(image.n_frames):
                    image.seek(frame)
                    image.load()
                    durations.append(image.info["duration"])
                times.append((durations, image.info.get("loop"), image.info.get("comment")))
        assert times[0] == times[1]


@pytest.mark.parametrize("name", ["animated_gif", "animated_png"])
def test_ffprobe_counts_the_same_frames(run: Path, name: str) -> None:
    """Compare size, number of frames and duration; ffprobe knows no animated WebP."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    line = ["ffprobe", "-v", "error", "-count_frames", "-show_entries"]
    line += ["stream=codec_name,width,height,nb_read_frames:packet=duration", "-of", "json"]
    for number in range(COUNT):
        old, new = (
            json.loads(subprocess.run([*line, path], capture_output=True, check=True).stdout)
            for path in paths(run, name, number)
        )
        assert new["streams"] == old["streams"]
        assert new["packets"] == old["packets"]
        assert len(new["packets"]) == int(new["streams"][0]["nb_read_frames"]) == 3 + number


def test_tags_are_those_of_the_sources(run: Path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    found = {where: read_tags(run / where) for where in ("in", "out")}
    for name in KINDS:
        for number in range(COUNT):
            source, result = (path.name for path in paths(run, name, number))
            old, new = found["in"][source], found["out"][result]
            missing = {key: value for key, value in old.items() if new.get(key) != value}
            if old.get("QuickTime:ColorPrimaries") == 2:  # unspecified, beside a profile
                missing = {key: value for key, value in missing.items() if "Color" not in key}
                missing.pop("QuickTime:TransferCharacteristics", None)
            if KINDS[name].result:  # a developed image is no RAW file
                kept = {"IFD0:Make", "IFD0:Orientation"}
                missing = {key: value for key, value in missing.items() if key in kept}
            assert not missing, source


def read_tags(folder: Path) -> dict[str, dict[str, object]]:
    """Return the tags of each file as exiftool reads them, without those of the coding."""
    line = ["exiftool", "-j", "-G1", "-a", "-n", "-q", "-q", str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return {
        Path(entry["SourceFile"]).name: {
            key: value
            for key, value in entry.items()
            if key.partition(":")[2] not in OF_THE_CODING
            and key.partition(":")[0] not in OF_THE_FILE
        }
        for entry in json.loads(done.stdout)
    }
