"""The page as a folder of files that any web host can serve: models run in the browser."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from quietpixel import __version__
from quietpixel.errors import FileError, MissingDependencyError, QuietpixelError
from quietpixel.files import atomic_file
from quietpixel.inference.model_store import bundled_models
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise.level import WEIGHTS
from quietpixel.web.digit_parts import find_digit_model, split_digit_model
from quietpixel.web.models import Models, find_models

STATIC = Path(__file__).with_name("static")
MANIFEST = Path(__file__).with_name("manifest.webmanifest")
SERVICE_ONLY = ("api.js", "docs.css", "docs.html", "docs.js", "service_engine.js")
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_FILES = {
    "ort.wasm.bundle.min.mjs": True,
    "ort-wasm-simd-threaded.mjs": True,
    "ort-wasm-simd-threaded.wasm": True,
    "ort.webgpu.bundle.min.mjs": False,
    "ort-wasm-simd-threaded.asyncify.mjs": False,
    "ort-wasm-simd-threaded.asyncify.wasm": False,
}
"""Files of onnxruntime-web, and whether they are kept for use without a network from the start; the
others, for WebGPU, are kept once a browser has used them."""
# The workers are the threads of onnxruntime-web.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
CHARSET = '<meta charset="utf-8">'
HEAD = f"""{CHARSET}
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="manifest" href="{MANIFEST.name}">"""


class RuntimeFilesError(QuietpixelError, OSError):
    """onnxruntime-web cannot be fetched, or a file of it is missing."""


def write_page(
    folder: Path,
    *,
    runtime: Path | None = None,
    options: DenoiseOptions | None = None,
    models: Models | None = None,
) -> int:
    """Write the page, its models and onnxruntime-web into a folder.

    Parameters
    ----------
    folder
        New or empty folder, or one that holds an earlier page, which is replaced; other files
        beside it stay.
    runtime
        The package onnxruntime-web: its folder, or the archive that ``npm pack`` writes. None
        fetches the version that the page was tested with through npm.
    options
        `model` replaces the default models.
    models
        The models to offer. None takes the bundled models, the user's own, and that of `options`.

    Returns
    -------
    size
        Bytes of all files.

    Raises
    ------
    FileError
        If the folder holds other files, or a file cannot be written.
    RuntimeFilesError, MissingDependencyError
        If onnxruntime-web cannot be fetched or read, or the package onnx is not installed.
    """
    if folder.exists() and any(folder.iterdir()) and not _holds_page(folder):
        raise FileError(
            f"The folder '{folder}' holds other files; choose a new or an empty folder."
        )
    # The models first: they may need a package that is missing, which is said before a download.
    files = _page_files() | _model_files(models or find_models(options or DenoiseOptions()))
    files |= {f"runtime/{name}": content for name, content in read_runtime(runtime).items()}
    late = {f"runtime/{name}" for name, early in RUNTIME_FILES.items() if not early}
    # Last, because its version is a digest of all the other files.
    files["service_worker.js"] = _service_worker(files, late)
    # Only now, so that a failed download leaves the earlier page; what others put there stays.
    for name in {Path(name).parts[0] for name in files}:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, overwrite=True) as file:
            file.write(content)
    return sum(map(len, files.values()))


def _holds_page(folder: Path) -> bool:
    manifest = folder / MANIFEST.name
    named = manifest.is_file() and '"name": "quietpixel"' in manifest.read_text(errors="replace")
    return named and (folder / "models.json").is_file()


def _page_files() -> dict[str, bytes]:
    files = {
        f"static/{path.name}": path.read_bytes()
        for path in STATIC.iterdir()
        if path.name not in (*SERVICE_ONLY, "service_worker.js", "index.html")
    }
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    changes = {'<html lang="en">': '<html lang="en" data-engine="browser">', CHARSET: HEAD}
    for old, new in changes.items():
        # The page of the service is the source of both; a changed line must not pass unnoticed.
        assert page.count(old) == 1
        page = page.replace(old, new)
    with np.load(WEIGHTS) as stored:
        # Six decimals are enough, and less than half of the bytes.
        level = {name: values.astype(float).round(6).tolist() for name, values in stored.items()}
    return files | {
        "index.html": page.encode(),
        MANIFEST.name: MANIFEST.read_bytes(),
        "noise-level.json": json.dumps(level).encode(),
    }


def _model_files(models: Models) -> dict[str, bytes]:
    """Return the default models, the user's own, and the digit model in two halves."""
    defaults, bundled = {*models.describe()["default"].values()}, bundled_models()
    offered = {n: p for n, p in models.paths.items() if n in defaults or n not in bundled}
    files = {f"models/{name}.onnx": path.read_bytes() for name, path in offered.items()}
    described = {**Models(offered, models.options).describe(), "digits": None}
    if digits := find_digit_model(models):
        described["digits"] = names = {
            "encoder": "digit-encoder.onnx", "decoder": "digit-decoder.onnx"
        }  # fmt: skip
        parts = split_digit_model(models.paths[digits])
        files |= {f"models/{n}": part for n, part in zip(names.values(), parts, strict=True)}
    return files | {"models.json": json.dumps(described).encode()}


def _service_worker(files: dict[str, bytes], late: Iterable[str]) -> bytes:
    digest = hashlib.sha256(__version__.encode())
    for name in sorted(files):
        digest.update(name.encode() + hashlib.sha256(files[name]).digest())
    kept = ["./", *sorted(set(files) - set(late))]
    version = f"const VERSION = {json.dumps(digest.hexdigest()[:16])};\n"
    head = f"{version}const FILES = {json.dumps(kept)};\n\n"
    return head.encode() + (STATIC / "service_worker.js").read_bytes()


def read_runtime(source: Path | None) -> dict[str, bytes]:
    """Return the files of onnxruntime-web that the page needs, by name.

    Parameters
    ----------
    source
        As `runtime` of `write_page`.

    Raises
    ------
    RuntimeFilesError, MissingDependencyError
        As `write_page`.
    """
    if source is None:
        with tempfile.TemporaryDirectory() as folder:
            return read_runtime(_fetch_runtime(Path(folder)))
    try:
        if source.is_dir():
            paths = source.rglob("*")
            found = {path.name: path.read_bytes() for path in paths if path.name in RUNTIME_FILES}
        else:
            # Read and not extracted, which is only safe from Python 3.11.4 on.
            with tarfile.open(source) as archive:
                found = {
                    Path(each.name).name: file.read()
                    for each in archive  # in their order: going back unpacks all once more
                    if Path(each.name).name in RUNTIME_FILES
                    if (file := archive.extractfile(each))
                }
    except (OSError, tarfile.TarError) as error:
        raise RuntimeFilesError(
            f"'{source}' cannot be read as onnxruntime-web: {error}."
        ) from error
    missing = sorted(set(RUNTIME_FILES) - set(found))
    if missing:
        raise RuntimeFilesError(
            f"'{source}' is not the package onnxruntime-web: it lacks {missing[0]}. Pass its "
            f"folder or the archive that 'npm pack {RUNTIME}' writes."
        )
    return found


def _fetch_runtime(folder: Path) -> Path:
    """Return the archive of onnxruntime-web, fetched by npm, which checks its digest."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            f"npm is needed to fetch {RUNTIME}; install Node.js, or pass the package as `runtime`."
        )
    line = [npm, "pack", RUNTIME, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder)
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode or archive is None:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeFilesError(
            f"npm cannot fetch {RUNTIME} ({reason}); pass the package as `runtime`."
        )
    return archive
