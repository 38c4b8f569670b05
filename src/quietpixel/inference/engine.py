"""Inference engines: one interface to OpenVINO and ONNX Runtime."""

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Semaphore
from typing import Any, Protocol

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.card import Card
from quietpixel.errors import ArgumentError, FileError, import_optional
from quietpixel.files.atomic import atomic_file
from quietpixel.inference.model_file import read_card, unreadable
from quietpixel.inference.options import ENGINE_NAMES, DenoiseOptions

_DAMAGE = (RuntimeError, ValueError, MemoryError)
"""Errors of OpenVINO on a damaged model; a damaged name in it is a ValueError (Unicode)."""
_DIGEST = 32
"""Bytes of the SHA-256 before a compiled model in the cache."""
LEAST_MEMORY = 800_000_000
"""Address space that is enough for a small image; with less, as under ``ulimit -v 500000``, the
libraries of OpenVINO and NumPy often abort the process."""
_importing = Lock()


class Engine(Protocol):
    """A loaded model, called on a batch to denoise it."""

    card: Card
    precision: str
    """The arithmetic in use: ``"f32"``, ``"bf16"`` or ``"f16"``."""
    device: str
    """The device in use, as the library names it: ``"CPU"``, ``"CUDAExecutionProvider"``."""
    fallback: str
    """Why that is not the device that was asked for; empty if it is."""

    def __call__(self, batch: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
        """Denoise a batch.

        Parameters
        ----------
        batch
            float32 (N, H, W, C) in [0, 1], sizes that the card allows.
        sigma
            float32 (N, H, W, 1) on the same scale, for models that take it.
        """
        ...


def open_engine(path: str | Path, *, cache: Path | None = None, **options: Any) -> Engine:
    """Open a model file.

    Parameters
    ----------
    path
        An ONNX file that carries a quietpixel card.
    cache
        A folder in which OpenVINO keeps the compiled model for the next process; None keeps none.
    **options
        `engine`, `precision`, `device`, `threads` and `streams`, as for `DenoiseOptions`.

    Raises
    ------
    UnknownNameError, ArgumentError
        If an option breaks its rule.
    ModelError
        If `path` is not a model file, or carries no card.
    MissingDependencyError
        If the engine is not installed.
    """
    checked = DenoiseOptions(**options)
    return ENGINES[checked.engine](Path(path), checked, cache)


def choose_device(wanted: str, available: Sequence[str], *, gpu: str, cpu: str) -> tuple[str, str]:
    """Return the name of the device to use, and a sentence if it is not the one wanted.

    Parameters
    ----------
    wanted
        ``"cpu"``, ``"gpu"``, ``"auto"``, or a name.
    available
        Names of the devices that a library finds; those of one kind may be numbered.
    gpu, cpu
        What the library calls these two.

    Examples
    --------
    >>> choose_device("auto", ("CPU", "GPU.0"), gpu="GPU", cpu="CPU")
    ('GPU', '')
    """
    kinds = {*available, *(each.partition(".")[0] for each in available)}
    names = {"cpu": cpu, "gpu": gpu, "auto": gpu if gpu in kinds else cpu}
    device = names.get(wanted.lower(), wanted)
    if device in kinds or device == cpu:
        return device, ""
    return cpu, (
        f"The device '{wanted}' is not available, so the processor computes; "
        f"this machine has {', '.join(available)}."
    )


class OpenVINOEngine:
    """Runs the model with OpenVINO."""

    def __init__(self, path: Path, options: DenoiseOptions, cache: Path | None) -> None:
        self.card = read_card(path)
        precision, device, threads = options.precision, options.device, options.threads
        core = import_openvino().Core()
        # Looking for devices loads all plugins, which the processor does not need.
        found = () if device == "cpu" else core.available_devices
        self.device, self.fallback = choose_device(device, found, gpu="GPU", cpu="CPU")
        able = core.get_property(self.device, "OPTIMIZATION_CAPABILITIES")
        if self.device == "CPU":
            self.precision = choose_precision(precision, native="BF16" in able)
        else:
            half = precision == "auto" and "FP16" in able
            self.precision = "f16" if half else choose_precision(precision, native=False)
            threads, cache = None, None  # both are of the processor
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if options.streams > 1:
            settings |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": options.streams}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
            settings["ENABLE_CPU_PINNING"] = False  # or all processes of few threads share a core
        self._path = path
        try:
            compiled = _compile(core, path, self.device, settings, cache)
        except _DAMAGE as error:
            raise unreadable(path, "OpenVINO cannot read its layers") from error
        # A tensor may have several names once layers are merged; "sigma" is the one that counts.
        self._names = [max(value.get_names(), key=_is_sigma) for value in compiled.inputs]
        self._requests: SimpleQueue[Any] = SimpleQueue()  # one for each stream
        for _ in range(options.streams):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, batch: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
        """Denoise a batch; see `Engine`."""
        request = self._requests.get()
        try:
            request.infer(_feeds(self._names, batch, sigma), share_inputs=True)
            return _checked(self._path, np.array(request.get_output_tensor(0).data), batch)
        except _DAMAGE as error:
            raise unreadable(self._path, "its layers do not fit its card") from error
        finally:
            self._requests.put(request)


class OnnxRuntimeEngine:
    """Runs the model with ONNX Runtime, its memory arena off."""

    def __init__(self, path: Path, options: DenoiseOptions, cache: Path | None) -> None:
        self.card = read_card(path)
        self.precision = "f32"
        if options.precision == "bf16":
            raise ArgumentError(
                "`precision` must be auto or f32 with ONNX Runtime because it computes in float32 "
                "on the processor; got bf16. Use the openvino engine for bf16."
            )
        need = "The engine 'onnxruntime' needs the package onnxruntime"
        install = "'quietpixel[onnxruntime]', or use the openvino engine"
        runtime = import_optional("onnxruntime", need, install)
        cpu, found = "CPUExecutionProvider", runtime.get_available_providers()
        self.device, self.fallback = choose_device(
            options.device, found, gpu="CUDAExecutionProvider", cpu=cpu
        )
        settings = runtime.SessionOptions()
        # The arena would keep the memory of the largest tile.
        settings.enable_cpu_mem_arena = False
        settings.log_severity_level = 3
        settings.intra_op_num_threads = options.threads or 0
        try:
            self._session = runtime.InferenceSession(
                str(path), settings, providers=list(dict.fromkeys((self.device, cpu)))
            )
        except Exception as error:  # ONNX Runtime's own kinds have no public base
            raise unreadable(path, "ONNX Runtime cannot read its layers") from error
        used = self._session.get_providers()[0]
        if used != self.device:  # it could not be opened, as without its driver
            self.device, self.fallback = choose_device(self.device, (used,), gpu="", cpu=used)
        self._path = path
        self._names = [value.name for value in self._session.get_inputs()]
        self._slots = Semaphore(options.streams)

    def __call__(self, batch: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
        """Denoise a batch; see `Engine`."""
        try:
            with self._slots:  # or each tile in work takes its memory
                result = self._session.run(None, _feeds(self._names, batch, sigma))[0]
        except Exception as error:
            raise unreadable(self._path, "its layers do not fit its card") from error
        return _checked(self._path, result, batch)


ENGINES: dict[str, Any] = dict(zip(ENGINE_NAMES, (OpenVINOEngine, OnnxRuntimeEngine), strict=True))


def run_model(engine: Engine, images: FloatArray, sigma: FloatArray | None) -> FloatArray:
    """Run a model on images of any number of channels, whatever its own is.

    A gray model denoises red, green and blue apart; an RGB model sees gray three times, and the
    three results are averaged.

    Parameters
    ----------
    engine
        The model.
    images
        float32 (H, W, N, C) in [0, 1].
    sigma
        float32 (H, W, N), or None.
    """
    batch, own = np.moveaxis(images, 2, 0), engine.card.channels
    level = None if sigma is None else np.moveaxis(sigma, 2, 0)[..., np.newaxis]
    count, height, width, channels = batch.shape
    if own == 1 < channels:
        batch = np.moveaxis(batch, 3, 1).reshape(-1, height, width, 1)
        level = None if level is None else np.repeat(level, channels, axis=0)
    elif channels < own:
        batch = np.repeat(batch, own, axis=3)
    # Contiguous, because OpenVINO shares the memory of its inputs.
    level = None if level is None else np.ascontiguousarray(level, np.float32)
    result = engine(np.ascontiguousarray(batch, np.float32), level)
    if own == 1 < channels:
        return result.reshape(count, channels, height, width).transpose(2, 3, 0, 1)
    if channels < own:
        result = result.mean(axis=3, keepdims=True)
    return np.moveaxis(result, 0, 2)


def run_views(engine: Engine, images: FloatArray, sigma: FloatArray | None) -> FloatArray:
    """Return the mean of what a model makes of the flips and turns of images; see `run_model`.

    Tiles begin and end on multiples of the divisor, so that flipped tiles see what the whole
    image, flipped, would show them.
    """
    views = flips_and_turns(engine.card)
    total = np.zeros_like(images)
    for flip, turns in views:
        seen, level = (
            None if each is None else np.rot90(each[:, ::-1] if flip else each, turns)
            for each in (images, sigma)
        )
        assert seen is not None
        back = np.rot90(run_model(engine, seen, level), -turns)
        total += back[:, ::-1] if flip else back
    return total / np.float32(len(views))


def flips_and_turns(card: Card) -> list[tuple[bool, int]]:
    """Return the flips and quarter turns that a model can be shown."""
    # A quarter turn exchanges height and width, which must then be equal.
    square = card.size is None or card.size[0] == card.size[1]
    return [(flip, turns) for flip in (False, True) for turns in range(0, 4, 1 if square else 2)]


def preload_engine(name: str) -> None:
    """Import the library of an engine, which takes 0.1 s; what goes wrong shows when it is used."""
    with contextlib.suppress(ImportError):
        import_openvino() if name == "openvino" else importlib.import_module(name)


def import_openvino() -> Any:
    """Import OpenVINO without its converter, which loads when it is called.

    The converter takes a third of the import, 75 ms of every start. With the package
    openvino_telemetry, importing it also reports to a web service from a process of its own, and
    the program waits for the answer when it ends.
    """
    with contextlib.suppress(ImportError):  # Windows has no such limit
        resource = importlib.import_module("resource")
        if 0 <= resource.getrlimit(resource.RLIMIT_AS)[0] < LEAST_MEMORY:
            raise MemoryError("OpenVINO needs 0.8 GB of address space")
    converter = "openvino.tools.ovc"
    with _importing:
        hidden = "openvino" not in sys.modules and converter not in sys.modules
        if hidden:
            sys.modules[converter] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            if hidden:
                del sys.modules[converter]
        if hidden:
            openvino.convert_model = _convert_model  # for a program that uses it too
        # The first conversions make tables of types. Two threads that made them at once, in their
        # first inference, waited for each other forever (OpenVINO 2026.4, 8 of 20 processes).
        _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino


def _convert_model(*arguments: Any, **options: Any) -> Any:
    return importlib.import_module("openvino.tools.ovc").convert_model(*arguments, **options)


def _checked(path: Path, result: FloatArray, batch: FloatArray) -> FloatArray:
    """Return the result of a model, unless it is not a denoised batch."""
    if result.shape != batch.shape:
        raise unreadable(path, f"it makes {result.shape} of a batch of shape {batch.shape}")
    return result


def _compile(
    core: Any, path: Path, device: str, settings: dict[str, Any], cache: Path | None
) -> Any:
    """Compile a model, or load it from the cache; an unusable cache is ignored.

    OpenVINO's own cache has no checksum: with one bit flipped, 3 of 20 models computed wrong
    images without an error.
    """
    if cache is None:
        return core.compile_model(str(path), device, settings)
    about = import_openvino().get_version(), core.get_property("CPU", "FULL_DEVICE_NAME"), settings
    key = hashlib.sha256(repr(about).encode() + path.read_bytes())
    place = cache / f"{key.hexdigest()[:32]}.compiled"

    def sign(blob: bytes) -> bytes:
        return hashlib.sha256(key.digest() + blob).digest()

    with contextlib.suppress(OSError, RuntimeError):
        content = place.read_bytes()
        if sign(content[_DIGEST:]) == content[:_DIGEST]:
            return core.import_model(BytesIO(content[_DIGEST:]), "CPU", settings)
    compiled, stream = core.compile_model(str(path), "CPU", settings), BytesIO()
    with contextlib.suppress(OSError, RuntimeError, FileError):
        compiled.export_model(stream)
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_file(place, overwrite=True) as file:
            file.write(sign(stream.getvalue()) + stream.getvalue())
    return compiled


def choose_precision(wanted: str, *, native: bool) -> str:
    """Return the arithmetic for the precision option, on a processor with or without bfloat16."""
    if wanted == "bf16" and not native:
        raise ArgumentError(
            "`precision` must be auto or f32 on this processor because it does not compute in "
            "bfloat16 (that takes AVX512-BF16 or AMX); got bf16."
        )
    if wanted == "auto":
        return "bf16" if native else "f32"
    return wanted


def _feeds(names: list[str], batch: FloatArray, sigma: FloatArray | None) -> dict[str, FloatArray]:
    feeds = {name: batch for name in names if not _is_sigma(name)}
    return feeds | {name: sigma for name in names if _is_sigma(name) and sigma is not None}


def _is_sigma(name: str) -> bool:
    return "sigma" in name
