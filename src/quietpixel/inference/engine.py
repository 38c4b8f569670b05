"""Runs an ONNX model file: one seam, two engines."""

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import METADATA_KEY, Card
from quietpixel.errors import ArgumentError, MissingDependencyError, ModelError, unknown_name

FloatArray = NDArray[np.float32]

PRECISIONS = ("auto", "f32", "bf16")
_METADATA_FIELD = 14  # ModelProto.metadata_props


class Engine(Protocol):
    """What runs a model: called on a batch, it gives back the denoised batch."""

    card: Card
    precision: str
    """The arithmetic in use: ``"f32"`` or ``"bf16"``."""

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


def open_engine(
    path: str | Path,
    *,
    name: str = "openvino",
    precision: str = "auto",
    threads: int | None = None,
    streams: int = 1,
) -> Engine:
    """Open a model file with the engine of that name.

    Parameters
    ----------
    path
        An ONNX file that carries a quietpixel card.
    name
        ``"openvino"`` or ``"onnxruntime"``.
    precision
        ``"f32"``, ``"bf16"``, or ``"auto"``: bfloat16 only where the processor computes in it.
    threads
        Number of threads; ``None`` leaves it to the engine.
    streams
        How many batches may be computed at once, by callers in threads of their own; they share
        `threads` and the weights.

    Raises
    ------
    UnknownNameError, ArgumentError
        If an option is not one of the above.
    ModelError
        If `path` is not a model file, or carries no card.
    MissingDependencyError
        If the engine is not installed.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if threads is not None and threads < 1:
        raise ArgumentError(
            f"`threads` must be 1 or more because something must compute; got {threads}. "
            "Leave it out to use all cores."
        )
    if streams < 1:
        raise ArgumentError(
            f"`streams` must be 1 or more because something must compute; got {streams}. Try 1."
        )
    return ENGINES[name](Path(path), precision, threads, streams)


class OpenVINOEngine:
    """Runs the model with OpenVINO on the processor."""

    def __init__(
        self, path: Path, precision: str = "auto", threads: int | None = None, streams: int = 1
    ) -> None:
        self.card = read_card(path)
        import openvino

        core = openvino.Core()
        self.precision = _choose_precision(
            precision, native="BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        )
        try:
            compiled = core.compile_model(str(path), "CPU", self._settings(threads, streams))
        except RuntimeError as error:
            raise _unreadable(path, "OpenVINO cannot read its layers") from error
        self._names = [value.get_any_name() for value in compiled.inputs]
        self._requests: SimpleQueue[Any] = SimpleQueue()  # one for each stream, taken in turn
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def _settings(self, threads: int | None, streams: int) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if streams > 1:
            settings |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
        return settings if threads is None else settings | {"INFERENCE_NUM_THREADS": threads}

    def __call__(self, batch: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
        """Denoise a batch; see `Engine`."""
        request = self._requests.get()
        try:
            request.infer(_feeds(self._names, batch, sigma), share_inputs=True)
            return np.array(request.get_output_tensor(0).data)
        finally:
            self._requests.put(request)


class OnnxRuntimeEngine:
    """Runs the model with ONNX Runtime on the processor, its memory arena off.

    It computes for any number of callers at once, whatever `streams` says.
    """

    def __init__(
        self, path: Path, precision: str = "auto", threads: int | None = None, streams: int = 1
    ) -> None:
        self.card = read_card(path)
        self.precision = "f32"
        if precision == "bf16":
            raise ArgumentError(
                "`precision` must be auto or f32 with ONNX Runtime because it computes in float32 "
                "on the processor; got bf16. Use the openvino engine for bf16."
            )
        runtime = _import_onnxruntime()
        options = runtime.SessionOptions()
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own kinds have no public base
            raise _unreadable(path, "ONNX Runtime cannot read its layers") from error
        self._names = [value.name for value in self._session.get_inputs()]

    def __call__(self, batch: FloatArray, sigma: FloatArray | None = None) -> FloatArray:
        """Denoise a batch; see `Engine`."""
        result: FloatArray = self._session.run(None, _feeds(self._names, batch, sigma))[0]
        return result


ENGINES: dict[str, type[OpenVINOEngine] | type[OnnxRuntimeEngine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
}


def read_card(path: str | Path) -> Card:
    """Return the card inside an ONNX file, reading no more of the file than needed.

    Raises
    ------
    ModelError
        If the file is missing, is not an ONNX file, or carries no card.
    """
    try:
        with open(path, "rb") as file:
            metadata = dict(_metadata(file))
    except OSError as error:
        raise ModelError(
            f"The model file '{path}' cannot be read ({error.strerror}); pass an .onnx file, "
            "a run folder or a bundled name."
        ) from error
    except (ValueError, IndexError) as error:
        raise _unreadable(Path(path), _describe(Path(path))) from error
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"The model file '{path}' is an ONNX file without a quietpixel card, so its channels "
            "and sizes are not known; export it with quietpixel."
        )
    return Card.from_json(metadata[METADATA_KEY])


def _choose_precision(wanted: str, *, native: bool) -> str:
    if wanted == "bf16" and not native:
        raise ArgumentError(
            "`precision` must be auto or f32 on this processor because it does not compute in "
            "bfloat16 (that takes AVX512-BF16 or AMX); got bf16."
        )
    if wanted == "auto":
        return "bf16" if native else "f32"
    return wanted


def _feeds(names: list[str], batch: FloatArray, sigma: FloatArray | None) -> dict[str, FloatArray]:
    feeds = {name: batch for name in names if "sigma" not in name}
    return feeds | {name: sigma for name in names if "sigma" in name and sigma is not None}


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "The engine 'onnxruntime' needs the package onnxruntime; install it with "
            "pip install 'quietpixel[onnxruntime]', or use the openvino engine."
        ) from error
    return onnxruntime


def _unreadable(path: Path, what: str) -> ModelError:
    return ModelError(
        f"The file '{path}' is not a model that can be run: {what}; pass an .onnx file that "
        "quietpixel exported, a run folder or a bundled name."
    )


def _describe(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return "it is empty"
    if start.startswith(b"\x89PNG") or start.startswith(b"\xff\xd8"):
        return "it is a picture"
    if start.startswith(b"PK"):
        return "it is a zip archive (a .keras file is one; the .onnx file beside it is the model)"
    return "it is not an ONNX file, or is cut short"


# An ONNX file is one protocol-buffers message. Its few fields are walked here, the big ones
# skipped, so that asking for a card loads no engine.


def _metadata(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    seen = set()
    while file.tell() < end:
        number, size = _read_tag(file)
        seen.add(number)
        if file.tell() + size > end:
            raise ValueError("cut short")
        if number == _METADATA_FIELD:
            yield _read_entry(file.read(size))
        else:
            file.seek(size, 1)
    if 7 not in seen:  # ModelProto.graph
        raise ValueError("no graph")


def _read_tag(file: BinaryIO) -> tuple[int, int]:
    """Return the number of the next field and how many bytes its content takes."""
    number, kind = divmod(_read_varint(file), 8)
    if kind == 0:
        _read_varint(file)
        return number, 0
    if kind == 2:
        return number, _read_varint(file)
    raise ValueError("not a field of an ONNX file")


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("not a number")


def _read_entry(content: bytes) -> tuple[str, str]:
    """Return key and value of a StringStringEntryProto."""
    from io import BytesIO

    file, values = BytesIO(content), {1: "", 2: ""}
    while file.tell() < len(content):
        number, size = _read_tag(file)
        values[number] = file.read(size).decode()
    return values[1], values[2]
