import os
import subprocess
import sys

import numpy as np
import pytest
from onnx import helper

from quietpixel.card import Card
from quietpixel.errors import ArgumentError, MissingDependencyError, ModelError, UnknownNameError
from quietpixel.imaging.metrics import psnr
from quietpixel.inference.engine import (
    ENGINES,
    choose_device,
    choose_precision,
    open_engine,
    run_model,
)
from quietpixel.inference.model_file import read_card

from ..tiny_models import write_model


@pytest.mark.parametrize("name", ["blur", "colour", "pyramid", "dense", "adder"])
def test_engines_agree(models, name):
    card = read_card(models[name])
    height, width = card.size or (18, 22)
    rng = np.random.default_rng(1)
    batch = rng.random((3, height, width, card.channels), np.float32)
    sigma = rng.random((3, height, width, 1), np.float32) if card.sigma_input else None
    first, second = (
        open_engine(models[name], engine=engine, precision="f32") for engine in ENGINES
    )
    expected = first(batch, sigma)
    assert expected.dtype == np.float32
    assert expected.shape == batch.shape
    np.testing.assert_allclose(second(batch, sigma), expected, atol=1e-5)


@pytest.mark.parametrize("name", list(ENGINES))
def test_results_are_the_same_bytes_and_stay(models, name):
    engine = open_engine(models["blur"], engine=name, threads=2)
    batch = np.random.default_rng(1).random((2, 30, 20, 1), np.float32)
    first = engine(batch)
    kept = first.copy()
    engine(1 - batch)
    assert np.array_equal(first, kept)
    assert np.array_equal(engine(batch), kept)


FIRST_CALLS = """
import os, sys, threading
import numpy as np
import openvino
from quietpixel.inference.engine import open_engine
sys.setswitchinterval(1e-6)

def call(engine, start):
    start.wait()
    engine(np.zeros((1, 16, 16, 1), np.float32))

for _ in range(6):
    child = os.fork()
    if not child:
        engine, start = open_engine(sys.argv[1], streams=6), threading.Event()
        threads = [threading.Thread(target=call, args=(engine, start)) for _ in range(6)]
        for thread in threads:
            thread.start()
        start.set()
        for thread in threads:
            thread.join()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each process has one first call")
def test_threads_may_make_the_first_call_at_once(models):
    """They waited for each other forever, and so did the service with `--workers 2`."""
    command = [sys.executable, "-W", "ignore", "-c", FIRST_CALLS, str(models["blur"])]
    subprocess.run(command, check=True, timeout=300)


def test_card_is_read_without_an_engine(models):
    code = (
        "import sys; from quietpixel.inference.engine import read_card;"
        f"print(read_card({str(models['blur'])!r}).halo);"
        "assert not {'openvino', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "2"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"hello, this is text", "it is not an ONNX file, or is cut short"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "it is a picture"),
        (b"PK\x03\x04" + bytes(20), "it is a zip archive"),
        (bytes(100), "it is not an ONNX file"),
    ],
)
def test_files_that_are_no_models(tmp_path, content, what):
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"odd.onnx' is not a model .*: {what}.*; pass an .onnx"):
        open_engine(path)


def test_a_model_cut_anywhere_is_refused(models, tmp_path):
    content = models["blur"].read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"cut.onnx' is"):
            read_card(path)


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_card_around_nonsense_is_refused(models, tmp_path, name):
    content = models["blur"].read_bytes()
    path = tmp_path / "nonsense.onnx"
    path.write_bytes(content.replace(b"Conv", b"Cxnv"))
    with pytest.raises(
        ModelError, match=r"nonsense.onnx' is not a model .* cannot read its layers"
    ):
        open_engine(path, engine=name)


def test_missing_file_is_named():
    with pytest.raises(ModelError, match=r"'gone.onnx' cannot be read \(No such file"):
        read_card("gone.onnx")


def test_model_without_a_card_is_refused(models):
    with pytest.raises(ModelError, match=r"bare.onnx' is an ONNX file without a quietpixel card"):
        open_engine(models["bare"])


def test_names_are_checked(models):
    with pytest.raises(UnknownNameError, match=r"engine 'openvno': did you mean 'openvino'\?"):
        open_engine(models["blur"], engine="openvno")
    with pytest.raises(UnknownNameError, match=r"precision 'f31': did you mean 'f32'\?"):
        open_engine(models["blur"], precision="f31")
    with pytest.raises(ArgumentError, match=r"`threads` must be a whole number of at least 1"):
        open_engine(models["blur"], threads=0)
    with pytest.raises(ArgumentError, match=r"`streams` must be a whole number of at least 1"):
        open_engine(models["blur"], streams=0)


def test_precision_is_reported(models):
    assert open_engine(models["blur"], precision="f32").precision == "f32"
    assert open_engine(models["blur"], engine="onnxruntime").precision == "f32"


@pytest.mark.parametrize(
    ("wanted", "available", "expected"),
    [
        ("cpu", (), "CPU"),
        ("auto", ("CPU",), "CPU"),
        ("auto", ("CPU", "GPU.0", "GPU.1"), "GPU"),
        ("GPU", ("CPU", "GPU"), "GPU"),
        ("GPU.1", ("CPU", "GPU.0", "GPU.1"), "GPU.1"),
        ("NPU", ("CPU", "NPU"), "NPU"),
    ],
)
def test_the_device_is_chosen_among_those_available(wanted, available, expected):
    assert choose_device(wanted, available, gpu="GPU", cpu="CPU") == (expected, "")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_processor_computes_where_a_device_is_missing(name, models):
    engine = open_engine(models["blur"], engine=name, precision="f32", device="TPU")
    batch = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    expected = open_engine(models["blur"], engine=name, precision="f32")
    assert engine.device == expected.device
    assert engine.device.startswith("CPU")
    assert expected.fallback == ""
    assert engine.fallback.startswith("The device 'TPU' is not available, so the processor")
    assert "this machine has" in engine.fallback
    np.testing.assert_array_equal(engine(batch), expected(batch))


@pytest.mark.parametrize(
    ("wanted", "native", "expected"),
    [("auto", True, "bf16"), ("auto", False, "f32"), ("bf16", True, "bf16"), ("f32", True, "f32")],
)
def test_precision_follows_the_processor(wanted, native, expected):
    assert choose_precision(wanted, native=native) == expected


def test_bf16_is_refused_where_it_would_not_be_computed(models):
    with pytest.raises(ArgumentError, match=r"auto or f32 on this processor because"):
        choose_precision("bf16", native=False)
    with pytest.raises(ArgumentError, match=r"auto or f32 with ONNX Runtime because"):
        open_engine(models["blur"], engine="onnxruntime", precision="bf16")


def test_missing_onnxruntime_says_how_to_install(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'quietpixel\[onnxruntime\]'"):
        open_engine(models["blur"], engine="onnxruntime")


def test_compiled_models_are_kept_and_give_the_same_bytes(models, tmp_path):
    batch = np.random.default_rng(1).random((2, 30, 20, 1), np.float32)
    expected = open_engine(models["blur"])(batch)
    for _ in range(2):
        assert np.array_equal(open_engine(models["blur"], cache=tmp_path / "new")(batch), expected)
    (kept,) = (tmp_path / "new").iterdir()
    whole = kept.read_bytes()
    for damage in (whole[:500], b"", bytes(range(256)) * 20):
        kept.chmod(0o600)
        kept.write_bytes(damage)
        assert np.array_equal(open_engine(models["blur"], cache=tmp_path / "new")(batch), expected)


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kept_model_whose_content_changed_is_compiled_again(models, tmp_path, count):
    batch = np.random.default_rng(1).random((2, 30, 20, 1), np.float32)
    expected = open_engine(models["blur"])(batch)
    open_engine(models["blur"], cache=tmp_path / "blur")
    open_engine(models["residual"], cache=tmp_path / "other")
    (kept,), (other,) = ((tmp_path / name).iterdir() for name in ("blur", "other"))
    whole = kept.read_bytes()
    places = range(0, len(whole), len(whole) // count)
    flipped = (whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :] for at in places)
    for damage in (other.read_bytes(), *flipped):
        kept.chmod(0o600)
        kept.write_bytes(damage)
        assert np.array_equal(open_engine(models["blur"], cache=tmp_path / "blur")(batch), expected)
        assert kept.read_bytes() != damage


def test_a_place_that_keeps_nothing_is_no_obstacle(models, tmp_path):
    (tmp_path / "file").touch()
    batch = np.random.default_rng(1).random((2, 30, 20, 1), np.float32)
    engine = open_engine(models["blur"], cache=tmp_path / "file" / "below")
    assert np.array_equal(engine(batch), open_engine(models["blur"])(batch))


def test_a_bad_model_is_refused_with_a_cache_too(models, tmp_path):
    path = tmp_path / "nonsense.onnx"
    path.write_bytes(models["blur"].read_bytes().replace(b"Conv", b"Cxnv"))
    with pytest.raises(ModelError, match="cannot read its layers"):
        open_engine(path, cache=tmp_path / "cache")


def test_nothing_is_told_to_anybody(models, tmp_path):
    """OpenVINO's own telemetry leaves a file in the home folder and sends events from there."""
    code = (
        "import sys, numpy as np; from quietpixel.inference.engine import open_engine;"
        f"open_engine({str(models['blur'])!r})(np.zeros((1, 8, 8, 1), np.float32));"
        "assert 'openvino' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')]"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, env=os.environ | home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_program_can_still_convert_models_with_openvino(models):
    """OpenVINO's converter takes a third of the import, so it loads when it is called."""
    code = (
        "import sys; sys.modules['openvino_telemetry'] = None;"
        "from quietpixel.inference.engine import import_openvino; openvino = import_openvino();"
        "assert not [name for name in sys.modules if name.startswith('openvino.tools')];"
        f"print(openvino.convert_model({str(models['blur'])!r}).input(0).partial_shape.rank)"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "4\n"


@pytest.fixture
def native(models):
    if open_engine(models["blur"]).precision != "bf16":
        pytest.skip("this processor does not compute in bfloat16")


@pytest.mark.usefixtures("native")
def test_bf16_leaves_the_depth_of_an_image_alone(models):
    """What a residual model lets pass is not rounded to the 8 bits of bfloat16."""
    image = np.linspace(0.3, 0.9, 128 * 128, dtype=np.float32).reshape(1, 128, 128, 1)
    exact, quick = (open_engine(models["residual"], precision=p)(image) for p in ("f32", "bf16"))
    assert len(np.unique(quick)) > 10_000
    found = np.abs(image - exact).max()
    assert np.abs(quick - exact).max() < 2**-7 * found


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", ["blur", "residual"])
def test_bf16_loses_less_than_a_fiftieth_of_a_decibel(models, name):
    rows = np.sin(np.arange(200) / 9)[:, None] * np.cos(np.arange(200) / 7) * 0.3 + 0.5
    clean = rows.astype(np.float32)[None, ..., None]
    noisy = clean + np.random.default_rng(0).normal(0, 25 / 255, clean.shape).astype(np.float32)
    scores = [psnr(clean, open_engine(models[name], precision=p)(noisy)) for p in ("f32", "bf16")]
    assert abs(scores[0] - scores[1]) < 0.02


def test_a_level_goes_to_its_input_though_a_layer_is_merged_into_it(tmp_path):
    """Multiplying by 1 is merged away, and then the input has the name of its result too."""
    nodes = [
        helper.make_node("Mul", ["sigma", "one"], ["level"]),
        helper.make_node("Add", ["image", "level"], ["denoised"]),
    ]
    card = Card(name="merged", architecture="merged", channels=1, halo=0, sigma_input=True)
    weights = {"one": np.ones(1, np.float32)}
    path = write_model(tmp_path / "merged.onnx", nodes, weights, card=card, sigma=True)
    image, sigma = np.random.default_rng(0).random((2, 1, 5, 5, 1), np.float32)
    result = open_engine(path, precision="f32")(image, sigma)
    np.testing.assert_allclose(result, image + sigma, atol=1e-6)


def test_gray_gets_the_mean_of_what_a_colour_model_makes_of_it():
    class Tinted:
        card = Card(name="tinted", architecture="tinted", channels=3)

        def __call__(self, batch, sigma=None):
            return batch * np.array([1, 2, 6], np.float32)

    images = np.random.default_rng(0).random((4, 5, 2, 1), np.float32)
    np.testing.assert_allclose(run_model(Tinted(), images, None), 3 * images, rtol=1e-6)
