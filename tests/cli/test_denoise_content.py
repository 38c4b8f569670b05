"""What a file holds besides ordinary pixels comes out of `quietpixel denoise` as it went in."""

import io
import json
import mmap
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image
from skimage import data

from quietpixel.batch.denoise import Settings, denoise_picture
from quietpixel.files import Picture, frames, read_picture, vips, write_picture
from quietpixel.files.apng import make_chunk
from quietpixel.inference.denoiser import Denoiser

WORD = ["denoise", "--precision", "f32"]


def clean(path: Path) -> Path:
    return path.with_name(f"{path.stem}-clean{path.suffix}")


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    ramp = np.add.outer(np.arange(height) * 2, np.arange(width) * 2)
    return (ramp[..., None] + np.array([0, 20, 40])).clip(0, 255).astype(np.uint8)


# Transparency


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_multiplied_by_alpha_stay_as_they_are(quietpixel, tmp_path, dtype) -> None:
    path = tmp_path / "associated.tif"
    scale = {"uint8": 1, "uint16": 257, "float32": np.float32(1 / 255)}[dtype]
    image = np.full((40, 40, 4), (100, 60, 40, 128)) * scale
    tifffile.imwrite(path, image.astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    assert quietpixel(*WORD, path).code == 0
    with tifffile.TiffFile(clean(path)) as result:
        # The model may move a value by 1/255.
        np.testing.assert_allclose(result.asarray(), image, rtol=0, atol=1.01 * scale)
        assert result.pages[0].extrasamples == (1,)


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_any_colours_multiplied_by_alpha_survive_reading_and_writing(options) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (2, 20, 30, 4)).astype(np.uint16)
    source, result = io.BytesIO(), io.BytesIO()
    words = {"photometric": "rgb", "extrasamples": ["assocalpha"], "metadata": None}
    tifffile.imwrite(source, image, **words, **options)
    write_picture(read_picture(source.getvalue()), result)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(result.getvalue())), image)


def test_other_formats_get_colours_divided_by_alpha(quietpixel, tmp_path) -> None:
    path = tmp_path / "associated.tif"
    image = np.full((40, 40, 4), (100, 60, 40, 128), np.uint8)
    image[:5] = 0
    tifffile.imwrite(path, image, photometric="rgb", extrasamples=["assocalpha"])
    assert quietpixel(*WORD, path, "--format", "png").code == 0
    result = np.asarray(Image.open(tmp_path / "associated-clean.png"))
    assert np.abs(result[10:].astype(int) - (199, 120, 80, 128)).max() <= 2  # 1 of 100 before
    assert (result[:5] == 0).all()


# Resolution


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"resolution": (100, 100)},
        {"resolution": (100, 50), "resolutionunit": "CENTIMETER"},
        {"resolution": (100, 100), "resolutionunit": "NONE"},
    ],
)
def test_the_resolution_of_a_tiff_stays_as_it_is(quietpixel, halver, tmp_path, tags) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, smooth()[..., 0], **tags)
    with tifffile.TiffFile(path) as file:
        entries = {code: file.pages[0].tags[code] for code in (282, 283, 296)}
        if not tags or "resolutionunit" not in tags:  # tifffile always writes them
            hide(path, [296] if tags else [282, 283, 296], file.pages[0].tags)
            entries = {282: entries[282], 283: entries[283]} if tags else {}
    expected = {code: tag.value for code, tag in entries.items()}
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    with tifffile.TiffFile(clean(path)) as result:
        found = result.pages[0].tags
        assert {code: found[code].value for code in (282, 283, 296) if code in found} == expected


def hide(path: Path, codes: list[int], tags: tifffile.TiffTags) -> None:
    """Turn tags into private ones, which no reader knows."""
    content = bytearray(path.read_bytes())
    for number, code in enumerate(codes):
        at = tags[code].offset
        content[at : at + 2] = (65000 + number).to_bytes(2, "little")
    path.write_bytes(content)


def test_no_resolution_is_invented_for_a_tiff(quietpixel, halver, gray) -> None:
    assert quietpixel(*WORD, gray, "--model", halver, "--format", "tiff").code == 0
    with tifffile.TiffFile(gray.with_name("gray-clean.tif")) as result:
        assert not {282, 283, 296} & {tag.code for tag in result.pages[0].tags}


# Several frames


def animation(path: Path, count: int = 3, **options) -> Path:
    frames = [Image.fromarray(np.roll(smooth(), 20 * each, axis=1)) for each in range(count)]
    durations = [100 + 50 * each for each in range(count)]
    words = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 2}
    frames[0].save(path, **words, **options)
    return path


def frames_of(path: Path) -> list[tuple[int, np.ndarray]]:
    """Return the duration and the pixels of each frame as Pillow shows them."""
    frames = []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            frames.append((image.info["duration"], np.asarray(image.convert("RGB"), int)))
    return frames


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
@pytest.mark.parametrize("words", [(), ("--in-place",)])
def test_an_animation_keeps_its_frames(quietpixel, tmp_path, suffix, words) -> None:
    path = animation(tmp_path / f"a.{suffix}", comment="Taken at dawn.")
    before = frames_of(path)
    assert quietpixel(*WORD, path, *words).code == 0
    result = path if words else clean(path)
    after = frames_of(result)
    assert [time for time, _ in after] == [time for time, _ in before] == [100, 150, 200]
    for (_, old), (_, new), (_, other) in zip(before, after, before[1:] + before[:1], strict=True):
        assert 3 * np.abs(new - old).mean() < np.abs(new - other).mean()
    with Image.open(result) as image:
        assert image.info["loop"] == 2
        assert suffix != "gif" or image.info["comment"] == b"Taken at dawn."


@pytest.mark.parametrize(
    ("mode", "disposal"),
    [("P", 0), *((mode, disposal) for mode in ("RGB", "RGBA", "LA") for disposal in (0, 1, 2))],
)
def test_frames_of_an_animated_png_are_shown_as_elsewhere(tmp_path, mode, disposal) -> None:
    """Pillow stores only what changes between frames, so that they build on each other."""
    path = tmp_path / "a.png"
    frames = []
    for number in range(4):
        pixels = np.dstack([smooth(), np.full((48, 64), 255, np.uint8)])
        pixels[10 : 20 + 5 * number, 5 : 15 + 9 * number] = (200, 30 * number, 90, 60 + 60 * number)
        image = Image.fromarray(pixels)
        frames.append((image.convert("RGB") if mode == "P" else image).convert(mode))
    words = {"save_all": True, "append_images": frames[1:], "duration": 70, "loop": 0}
    frames[0].save(path, disposal=disposal, blend=0, **words)
    shown = read_picture(path)
    for page, expected in zip(shown.pages, imagecodecs.apng_decode(path.read_bytes()), strict=True):
        colours = Image.fromarray(page.squeeze()).convert("RGBA")
        wanted = Image.fromarray(expected.squeeze()).convert("RGBA")
        difference = np.abs(np.asarray(colours, int) - np.asarray(wanted, int))
        assert (difference * (np.asarray(colours)[..., 3:] > 0)).max() == 0
    write_picture(shown, tmp_path / "b.png")
    again = read_picture(tmp_path / "b.png")
    for old, new in zip(shown.pages, again.pages, strict=True):
        np.testing.assert_array_equal(new, old)
    assert again.encoding.delays == shown.encoding.delays == (70,) * 4


def test_transparent_frames_lie_over_what_was_before(tmp_path) -> None:
    path, rng = tmp_path / "a.png", np.random.default_rng(0)
    first, second = (
        Image.fromarray(rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)) for _ in range(2)
    )
    words = {"save_all": True, "append_images": [second], "duration": 70}
    first.save(path, blend=[0, 1], **words)
    shown = read_picture(path).pages[1].astype(int)
    expected = np.asarray(Image.alpha_composite(first, second), int)
    assert np.abs(shown - expected)[..., 3].max() <= 1
    # Rounding matters where little is seen.
    assert (np.abs(shown - expected)[..., :3] * expected[..., 3:] / 255).max() <= 1


@pytest.mark.parametrize(("source", "target"), [("gif", "png"), ("png", "webp"), ("webp", "png")])
def test_an_animation_keeps_its_timing_in_another_format(quietpixel, tmp_path, source, target):
    path = animation(tmp_path / f"a.{source}")
    assert quietpixel(*WORD, path, "--format", target).code == 0
    result = tmp_path / f"a-clean.{target}"
    assert [time for time, _ in frames_of(result)] == [100, 150, 200]
    # GIF counts how often an animation is repeated, the others how often it is shown.
    assert Image.open(result).info["loop"] == (3 if source == "gif" else 2)


def test_a_still_image_beside_an_animation_is_not_replaced(quietpixel, halver, tmp_path) -> None:
    path = animation(tmp_path / "a.png", default_image=True)
    content = path.read_bytes()
    for words in ((), ("--dry-run",)):
        outcome = quietpixel(*WORD, tmp_path, "--in-place", "--model", halver, *words)
        assert outcome.code == 2
        assert "would not hold the still image beside the animation" in outcome.out + outcome.err
        assert path.read_bytes() == content
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert outcome.code == 0
    assert "The result does not hold the still image beside the animation." in outcome.err
    assert len(frames_of(clean(path))) == 2


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_frames_of_a_long_animation_lie_in_a_file(
    quietpixel, tmp_path, monkeypatch, suffix
) -> None:
    path = animation(tmp_path / f"a.{suffix}", count=5)
    assert quietpixel(*WORD, path).code == 0
    expected = clean(path).read_bytes()
    monkeypatch.setattr(frames, "MOST_IN_MEMORY", 20_000)
    reserved: list[int] = []
    pages = read_picture(path, reserve=reserved.append).pages
    assert isinstance(pages[0].base.base, mmap.mmap)
    assert reserved == [20_000]
    assert not isinstance(read_picture(path.read_bytes()).pages[0].base, mmap.mmap)
    assert quietpixel(*WORD, path, "--overwrite").code == 0
    assert clean(path).read_bytes() == expected
    # The result takes the place of the frames.
    picture, denoiser = read_picture(path), Denoiser("photo", precision="f32")
    result, _ = denoise_picture(denoiser, picture, Settings(), reuse=True)
    assert np.shares_memory(result.pages[2], picture.pages[2])


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_number_of_frames_is_limited(quietpixel, halver, tmp_path, monkeypatch, suffix) -> None:
    path = animation(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(frames, "MOST_FRAMES", 2)
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert outcome.code == 2
    assert "it has 3 frames, and at most 2 are read; split it into shorter" in outcome.err
    assert not clean(path).exists()


def test_the_comment_of_a_still_gif_stays(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.gif"
    Image.fromarray(smooth()).save(path, comment="Taken at dawn.")
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    assert Image.open(clean(path)).info["comment"] == b"Taken at dawn."


def test_xmp_of_a_gif_stays(quietpixel, tmp_path) -> None:
    path = animation(tmp_path / "a.gif", comment="Taken at dawn.")
    xmp = b"!\xff\x0bXMP DataXMP<x/>" + bytes([1, *range(255, -1, -1), 0])
    content = path.read_bytes()
    assert content[-1:] == b";"
    path.write_bytes(content[:-1] + xmp + b";")
    assert quietpixel(*WORD, path).code == 0
    result = clean(path).read_bytes()
    assert (result.count(xmp), result.count(b"NETSCAPE2.0")) == (1, 1)
    assert [time for time, _ in frames_of(clean(path))] == [100, 150, 200]


def test_chunks_of_a_png_that_no_longer_hold_are_dropped_or_named(
    quietpixel, halver, tmp_path
) -> None:
    """iDOT, in screenshots of Apple's systems, says where parts of the compressed pixels lie."""
    path = tmp_path / "a.png"
    Image.fromarray(smooth()).save(path)
    content, at = path.read_bytes(), 33
    chunks = [make_chunk(name, b"1234") for name in (b"iDOT", b"vpAg", b"caBX")]
    path.write_bytes(content[:at] + b"".join(chunks[:2]) + content[at:])
    assert quietpixel(*WORD, path, "--model", halver, "--in-place").code == 0
    assert (chunks[0] in path.read_bytes(), chunks[1] in path.read_bytes()) == (False, True)
    path.write_bytes(content[:at] + chunks[2] + content[at:])
    outcome = quietpixel(*WORD, path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "would not hold the chunk caBX; write it to another file." in outcome.err


def test_a_png_of_one_bit_stays_one(quietpixel, halver, tmp_path) -> None:
    """It became one of 8 bits, several times as large."""
    path = tmp_path / "a.png"
    Image.fromarray(smooth()[..., 0] > 128).save(path)
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    with Image.open(clean(path)) as result:
        assert result.mode == "1"


CREDENTIALS = (
    b"JP\0\1\0\0\0\1\0\0\0\x30jumb\0\0\0\x28jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71c2pa"
)
"""The first bytes of content credentials, in a segment of a JPEG."""


@pytest.mark.parametrize("kind", ["jpg", "webp", "tif"])
def test_credentials_of_other_pixels_are_dropped_and_named(
    quietpixel, halver, tmp_path, kind: str
) -> None:
    path, result = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, smooth(), extratags=[(52545, 7, len(CREDENTIALS), CREDENTIALS)])
    else:
        Image.fromarray(smooth()).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    content = path.read_bytes()
    if kind == "jpg":
        segment = b"\xff\xeb" + (len(CREDENTIALS) + 2).to_bytes(2, "big") + CREDENTIALS
        path.write_bytes(content[:2] + segment + content[2:])
    if kind == "webp":
        content += b"C2PA" + len(CREDENTIALS).to_bytes(4, "little") + CREDENTIALS
        content += bytes(len(CREDENTIALS) % 2)
        path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    signed = path.read_bytes()
    assert b"c2pa" in signed
    outcome = quietpixel(*WORD, path, "--model", halver, "-o", result, "--json", tmp_path / "j")
    assert outcome.code == 0
    assert b"c2pa" not in result.read_bytes()
    (entry,) = json.loads((tmp_path / "j").read_text())["files"]
    notes = [note for note in entry["notes"] if "credentials" in note]
    assert len(notes) == 1
    assert notes[0].startswith("The result does not hold the ")
    outcome = quietpixel(*WORD, path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "is not replaced because the result would not hold the" in outcome.err
    assert path.read_bytes() == signed


def test_a_stack_of_images_is_no_animation(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([smooth()[..., 0]] * 3), photometric="minisblack")
    outcome = quietpixel(*WORD, path, "--model", halver, "--format", "png")
    assert outcome.code == 2
    assert "The format png cannot hold the image's 3 pages" in outcome.err


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_cut_animation_is_refused(quietpixel, tmp_path, suffix, cut) -> None:
    path = animation(tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 2
    assert "cannot be read" in outcome.err


def test_a_gif_that_lacks_only_its_end_is_denoised(quietpixel, tmp_path) -> None:
    whole, cut = animation(tmp_path / "whole.gif"), tmp_path / "cut.gif"
    cut.write_bytes(whole.read_bytes()[:-1])
    outcome = quietpixel(*WORD, whole, cut, "--quiet", "--json", "-")
    notes = [entry["notes"] for entry in json.loads(outcome.out)["files"]]
    note = "The file lacks the marker of its end, and its image is complete."
    assert [note in each for each in notes] == [False, True]
    assert clean(cut).read_bytes() == clean(whole).read_bytes()


@pytest.mark.parametrize(("cut", "fill"), [(1000, bytes(10_000)), (3, b""), (2, b"")])
def test_a_jpeg_without_its_end_is_refused(quietpixel, tmp_path, cut, fill) -> None:
    """That pixels are missing is no error to its decoder, so they could be lost silently."""
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-cut] + fill)
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 2
    assert "the file is damaged or cut short (its end is missing)" in outcome.err


@pytest.mark.parametrize("scan", [1, -1])
def test_a_progressive_jpeg_cut_between_two_scans_is_refused(quietpixel, tmp_path, scan) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).save(path, progressive=True)
    *scans, _ = path.read_bytes().split(b"\xff\xda")
    assert len(scans) > 3
    path.write_bytes(b"\xff\xda".join(scans if scan < 0 else scans[: scan + 1]))
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 2
    assert "the file is damaged or cut short (its end is missing)" in outcome.err


def test_a_progressive_jpeg_that_was_ended_after_an_early_scan_is_named(
    quietpixel, tmp_path
) -> None:
    whole, ended = tmp_path / "whole.jpg", tmp_path / "ended.jpg"
    Image.fromarray(smooth()).save(whole, progressive=True)
    parts = whole.read_bytes().split(b"\xff\xda")
    ended.write_bytes(b"\xff\xda".join(parts[:-1]) + b"\xff\xd9")
    outcome = quietpixel(*WORD, whole, ended, "--quiet", "--json", "-")
    notes = [entry["notes"] for entry in json.loads(outcome.out)["files"]]
    note = "It is a progressive JPEG without its last scans; a whole copy has more detail."
    assert [note in each for each in notes] == [False, True]


def test_an_arithmetic_jpeg_without_its_end_is_refused(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()[..., 0]).save(path)
    # Its decoder takes what is missing for zeros, and any bytes for pixels.
    path.write_bytes(path.read_bytes()[:-2].replace(b"\xff\xc0", b"\xff\xc9"))
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 2
    assert "the file is damaged or cut short (its end is missing)" in outcome.err


@pytest.mark.parametrize(
    ("compression", "cut", "reason"),
    [
        (None, 0.9, "is damaged or cut short"),
        ("zlib", 0.9, "is damaged or cut short"),
        ("zstd", 1, "stored in a way that cannot be decoded here (ZSTD compression"),
    ],
)
def test_tiles_that_cannot_be_decoded_are_not_taken_for_black(
    quietpixel, tmp_path, compression, cut, reason
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), tile=(16, 16), compression=compression)
    content = path.read_bytes()
    content = content[: int(cut * len(content))]
    path.write_bytes(content)
    outcome = quietpixel(*WORD, path, "--in-place")
    assert outcome.code == 2
    assert reason in outcome.err
    assert path.read_bytes() == content


@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 4}])
def test_parts_that_a_sparse_tiff_leaves_out_are_black(
    quietpixel, halver, tmp_path, layout
) -> None:
    path, image = tmp_path / "a.tif", smooth()[..., 0] + np.uint8(40)
    tifffile.imwrite(path, image, **layout)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags, letters = file.pages[0].tags, {3: "H", 4: "I"}
        for code in (324, 325) if "tile" in layout else (273, 279):
            struct.pack_into("<" + letters[tags[code].dtype], content, tags[code].valueoffset, 0)
            # A part with a length was not left out.
            (tmp_path / f"{code}.tif").write_bytes(content)
    for words in ([], ["--max-pixels", 100]):
        damaged = tmp_path / f"{324 if 'tile' in layout else 273}.tif"
        outcome = quietpixel(*WORD, damaged, "--model", halver, *words)
        assert outcome.code == 2
        assert "a part of its pixels has a length but no place" in outcome.err
    path.write_bytes(content)
    expected = image / 2
    expected[: 16 if "tile" in layout else 4, : 16 if "tile" in layout else None] = 0
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    np.testing.assert_allclose(tifffile.imread(clean(path)), expected, rtol=0, atol=1)


def test_a_pyramid_is_not_replaced_by_its_largest_level(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "levels.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(smooth()[..., 0])
        writer.write(smooth()[::2, ::2, 0], subfiletype=1)
    content = path.read_bytes()
    outcome = quietpixel(*WORD, path, "--in-place", "--model", halver)
    assert outcome.code == 2
    assert "would not hold 1 smaller copies or masks; write it to another file." in outcome.err
    assert path.read_bytes() == content


@pytest.mark.parametrize("words", [(), ("--in-place",)])
@pytest.mark.parametrize("below", [False, True])
def test_the_levels_of_a_pyramid_are_made_anew(quietpixel, halver, tmp_path, below, words) -> None:
    path, count = tmp_path / "a.tif", 2 if below else 1
    stack = np.stack([smooth(300, 400)[..., each] for each in range(count)])
    options = {"tile": (64, 64), "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        for page in stack:
            writer.write(page, subifds=2 if below else None, **options)
            for step in (2, 4):
                writer.write(page[::step, ::step], subfiletype=1, **options)
    assert quietpixel(*WORD, path, "--model", halver, *words).code == 0
    result = path if words else clean(path)
    with tifffile.TiffFile(result) as file:
        levels = file.series[0].levels
        assert [level.shape[-2:] for level in levels] == [
            (300, 400),
            (150, 200),
            (75, 100),
            (37, 50),
        ]
        assert len(file.pages) == (2 if below else 4)
        largest = levels[0].asarray().astype(float).reshape(count, 300, 400)
        np.testing.assert_allclose(largest, stack / 2, atol=1)
        means = largest.reshape(count, 150, 2, 200, 2).mean((2, 4))
        np.testing.assert_allclose(levels[1].asarray().reshape(count, 150, 200), means, atol=1)


def test_a_note_tells_where_a_pyramid_stays(quietpixel, halver, tmp_path) -> None:
    path, options = tmp_path / "a.tif", {"tile": (16, 16), "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(smooth()[..., 0], **options)
        writer.write(smooth()[::2, ::2, 0], subfiletype=1, **options)
    outcome = quietpixel(*WORD, path, "--model", halver, "--format", "png")
    assert outcome.code == 0
    assert "does not hold smaller copies of its pages, because png has none." in outcome.err


# Colour numbers and deep pixels


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_keeps_its_colour_numbers_and_depth(quietpixel, halver, tmp_path, bits) -> None:
    path, white = tmp_path / "a.avif", 2**bits - 1
    ramp = smooth() / 255 * white
    pixels = np.rint(ramp).astype(np.uint8 if bits == 8 else np.uint16)
    numbers = {"primaries": 9, "transfer": 16, "matrix": 9}
    path.write_bytes(imagecodecs.avif_encode(pixels, level=100, bitspersample=bits, **numbers))
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert (outcome.code, outcome.err.count("\n")) == (0, 0)
    content = clean(path).read_bytes()
    at = content.index(b"colrnclx") + 8
    assert struct.unpack_from(">HH", content, at) == (9, 16)
    assert read_picture(content).encoding.bits == bits
    result = imagecodecs.avif_decode(content)
    assert np.abs(result - ramp / 2).mean() < 0.01 * white


def test_colour_numbers_follow_into_png_and_are_missed_in_jpeg(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.avif"
    options = {"level": 100, "primaries": 12, "transfer": 16, "matrix": 1}
    path.write_bytes(imagecodecs.avif_encode(smooth(), **options))
    assert quietpixel(*WORD, path, "--format", "png").code == 0
    content = (tmp_path / "a-clean.png").read_bytes()
    at = content.index(b"cICP")
    assert content[at + 4 : at + 8] == bytes([12, 16, 0, 1])
    outcome = quietpixel(*WORD, path, "--format", "jpeg")
    assert outcome.code == 0
    assert "the colour numbers (primaries 12, transfer curve 16), because jpeg has" in outcome.err


def test_a_png_keeps_its_colour_numbers(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth()).save(path)
    content, numbers = path.read_bytes(), b"cICP" + bytes([9, 16, 0, 1])
    chunk = struct.pack(">I", 4) + numbers + struct.pack(">I", zlib.crc32(numbers))
    path.write_bytes(content[:33] + chunk + content[33:])
    assert quietpixel(*WORD, path).code == 0
    assert chunk in clean(path).read_bytes()


# The thumbnail


def with_thumbnail(pixels: np.ndarray) -> tuple[bytes, int]:
    """Return EXIF with a thumbnail of 128 x 96 pixels in its IFD1, and the place of its JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=90)
    start, old = 14 + 2 + 24 + 4, stream.getvalue()
    entries = struct.pack("<HHII", 513, 4, 1, start) + struct.pack("<HHII", 514, 4, 1, len(old))
    head = b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 14) + struct.pack("<H", 2)
    return b"Exif\0\0" + head + entries + bytes(4) + old, 6 + start


@pytest.mark.parametrize("kind", ["jpg", "webp", "png", "jpg to png", "jpg to tif"])
def test_the_thumbnail_is_made_anew(quietpixel, tmp_path, kind) -> None:
    source, _, target = kind.partition(" to ")
    path, result = tmp_path / f"a.{source}", tmp_path / f"a-clean.{target or source}"
    rng = np.random.default_rng(0)
    noisy = (smooth(192, 256) + rng.normal(0, 20, (192, 256, 3))).clip(0, 255).astype(np.uint8)
    exif, start = with_thumbnail(noisy[:96, :128])
    Image.fromarray(noisy).save(path, exif=exif, quality=90)
    assert quietpixel(*WORD, path, "-o", result).code == 0
    if target == "tif":
        assert noisy[:96, :128].tobytes() not in result.read_bytes()
        assert Image.open(result).getexif().get_ifd(1) == {}
        return
    found = b"Exif\0\0" + Image.open(result).info["exif"].removeprefix(b"Exif\0\0")
    assert len(found) == len(exif)
    shown = Image.open(io.BytesIO(found[start:]))
    assert shown.size == (128, 96)
    wanted = Image.open(result).resize((128, 96), Image.Resampling.BOX)
    assert np.abs(np.asarray(shown, int) - np.asarray(wanted)).mean() < 5
    assert np.abs(noisy[:96, :128].astype(int) - np.asarray(wanted)).mean() > 10


# Few bits


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_few_bits_stays_one(quietpixel, halver, tmp_path, bits) -> None:
    path, levels = tmp_path / "a.png", 2**bits
    ramp = np.repeat(np.linspace(0, 255, levels).round(), 20)[None].repeat(40, 0)
    image = Image.fromarray(ramp.astype(np.uint8))
    write_picture(with_bits(ramp, bits), path)
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("L")), np.asarray(image))
    assert path.read_bytes()[24] == bits
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    assert clean(path).read_bytes()[24] == bits
    result = np.asarray(Image.open(clean(path)).convert("L"), int)
    step = 255 // (levels - 1)
    assert np.abs(result - ramp / 2).max() <= step / 2 + 1
    assert set(np.unique(result)) <= set(range(0, 256, step))


@pytest.mark.parametrize(("bits", "compression"), [(1, None), (1, "ccittfax4"), (4, None)])
def test_a_tiff_of_few_bits_stays_one(quietpixel, halver, tmp_path, bits, compression) -> None:
    path, levels = tmp_path / "a.tif", 2**bits
    ramp = np.repeat(np.arange(levels, dtype=np.uint8), 20)[None].repeat(40, 0)
    image = vips.from_array((ramp * np.uint8(255 // (levels - 1)))[..., None])
    image.tiffsave(path, bitdepth=bits, compression=compression or "none")
    assert quietpixel(*WORD, path, "--model", halver).code == 0
    with tifffile.TiffFile(clean(path)) as file:
        page = file.pages[0]
        assert (page.bitspersample, page.compression) == (bits, 4 if compression else 1)
        assert np.abs(page.asarray() - ramp / 2).max() <= 0.6


def test_a_palette_of_few_colours_takes_few_bits(tmp_path) -> None:
    path = tmp_path / "a.png"
    image = Image.fromarray(smooth()).quantize(13)
    image.save(path, bits=4)
    write_picture(read_picture(path), path, overwrite=True)
    assert path.read_bytes()[24:26] == b"\x04\x03"
    assert Image.open(path).convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_a_palette_with_transparency_stays_one(quietpixel, tmp_path) -> None:
    """A drawing of few colours, in which the model finds no noise."""
    path = tmp_path / "a.png"
    blocks = np.arange(16, dtype=np.uint8).reshape(4, 4).repeat(24, 0).repeat(24, 1)
    image = Image.fromarray(blocks).convert("P")
    image.putpalette([value for each in range(16) for value in (8 * each, 255 - 8 * each, 100)])
    image.save(path, transparency=bytes(range(100, 260, 10)))
    assert quietpixel(*WORD, path).code == 0
    with Image.open(path) as before, Image.open(clean(path)) as result:
        assert result.mode == "P"
        old, new = (np.asarray(each.convert("RGBA"), int) for each in (before, result))
    np.testing.assert_array_equal(new[..., 3], old[..., 3])
    assert np.abs(new - old).mean() < 1


@pytest.mark.parametrize("suffix", ["bmp", "png", "tif"])
def test_a_palette_that_is_lost_is_named(quietpixel, tmp_path, suffix) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(192, 256)).quantize(200).save(path)
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 0
    assert "The result is larger: its palette became full colours." in outcome.err
    assert Image.open(clean(path)).mode == "RGB"


def test_a_gray_bmp_with_a_palette_is_not_called_larger(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.bmp"
    Image.fromarray(smooth()).convert("L").save(path)
    outcome = quietpixel(*WORD, path)
    assert (outcome.code, "is larger" in outcome.err) == (0, False)
    assert clean(path).stat().st_size == path.stat().st_size


def with_bits(pixels: np.ndarray, bits: int) -> Picture:
    picture = Picture.from_pixels(pixels.astype(np.uint8))
    return replace(picture, encoding=replace(picture.encoding, bits=bits))


# Inks


def test_the_mix_of_inks_stays(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    inks = np.array([102, 78, 72, 0]) + np.random.default_rng(0).normal(0, 8, (96, 96, 4))
    Image.fromarray(inks.clip(0, 255).astype(np.uint8), "CMYK").save(path, quality=98)
    assert quietpixel(*WORD, path).code == 0
    before, after = (np.asarray(Image.open(each), float) for each in (path, clean(path)))
    assert np.abs(after - before).mean() > 1, "or nothing was denoised"
    np.testing.assert_allclose(after.mean((0, 1)), before.mean((0, 1)), atol=4)


# Content after a JPEG


@pytest.mark.parametrize("words", [(), ("--in-place",)])
def test_the_video_of_a_motion_photo_is_kept(quietpixel, tmp_path, words) -> None:
    path, video = tmp_path / "a.jpg", b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
    Image.fromarray(smooth()).save(path, quality=90)
    path.write_bytes(path.read_bytes() + video)
    before = path.read_bytes()
    outcome = quietpixel(*WORD, path, *words)
    assert outcome.code == 0
    content = (path if words else clean(path)).read_bytes()
    assert content != before
    assert content.endswith(b"\xff\xd9" + video)
    assert f"The {len(video):,} bytes after the image" in outcome.err


@pytest.mark.parametrize(("stated", "expected"), [("00000", 0), ("12345", None), ("9", 0)])
def test_the_length_that_the_xmp_of_a_motion_photo_states_is_the_new_one(
    quietpixel, tmp_path, stated, expected
) -> None:
    """It may be left open, by 0, as where there is no room for the new one."""
    path, video = tmp_path / "a.jpg", b"\0\0\0\x18ftypmp42" + bytes(500)
    item = f'<C:Item Item:Semantic="Primary" Item:Length="{stated}"/><C:Item Item:Length="512"/>'
    Image.fromarray(smooth()).save(path, xmp=item.encode())
    path.write_bytes(path.read_bytes() + video)
    assert quietpixel(*WORD, path).code == 0
    content = clean(path).read_bytes()
    _, _, rest = content.partition(b'Primary" Item:Length="')
    assert int(rest[: len(stated)]) == (len(content) - 512 if expected is None else expected)
    assert b'<C:Item Item:Length="512"/>' in rest


def test_further_images_of_a_jpeg_are_found_at_their_new_places(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    views = [Image.fromarray(np.roll(smooth(), 20 * each, axis=1)) for each in range(3)]
    views[0].save(path, format="MPO", save_all=True, append_images=views[1:], quality=90)
    assert quietpixel(*WORD, path).code == 0
    assert clean(path).stat().st_size != path.stat().st_size
    with Image.open(path) as before, Image.open(clean(path)) as after:
        assert after.n_frames == before.n_frames == 3
        for number in (1, 2):
            before.seek(number)
            after.seek(number)
            np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
        sizes = [entry["Size"] for entry in after.mpinfo[0xB002]]
    # The first size says where the second image begins.
    content = clean(path).read_bytes()
    assert content[sizes[0] - 2 : sizes[0] + 2] == b"\xff\xd9\xff\xd8"


@pytest.mark.parametrize("words", [(), ("--in-place",)])
def test_the_gain_map_of_an_ultra_hdr_photo_is_kept(quietpixel, halver, tmp_path, words) -> None:
    path = tmp_path / "a.jpg"
    light = (smooth() / 64).astype(np.float32) ** 2  # up to 16 times white
    image = pyvips.Image.new_from_array(light).copy(interpretation="scrgb")
    image.uhdrsave(path, Q=90)
    before = gain_map(path)
    assert quietpixel(*WORD, path, "--model", halver, *words).code == 0
    result = path if words else clean(path)
    assert gain_map(result) == before
    with Image.open(result) as image:
        (first, second) = image.mpinfo[0xB002]
        image.seek(1)
        image.load()
    assert first["Size"] + second["Size"] == result.stat().st_size


def gain_map(path: Path) -> dict[str, object]:
    """Return the gain map and how it is applied, as libultrahdr finds them."""
    image = pyvips.Image.uhdrload(path)
    found = {name: image.get(name) for name in image.get_fields() if name.startswith("gainmap")}
    assert len(found["gainmap-data"]) > 1000
    return found


def test_a_jpeg_with_a_damaged_index_of_images_is_not_replaced(
    quietpixel, halver, tmp_path
) -> None:
    path = tmp_path / "a.jpg"
    view = Image.fromarray(smooth())
    view.save(path, format="MPO", save_all=True, append_images=[view])
    content = path.read_bytes()
    at = content.index(b"MPF\0") + 8
    path.write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    outcome = quietpixel(*WORD, path, "--in-place", "--model", halver)
    assert outcome.code == 2
    assert "would not hold the images of its damaged index (MPF)" in outcome.err
    assert path.read_bytes()[at + 2 :] == content[at + 2 :]
    outcome = quietpixel(*WORD, path)
    assert outcome.code == 0
    assert "The result does not hold the images of its damaged index (MPF)." in outcome.err


@pytest.mark.parametrize("suffix", ["heic", "avif"])
@pytest.mark.parametrize("words", [(), ("--in-place",)])
def test_the_video_of_a_heif_motion_photo_is_kept(
    quietpixel, halver, tmp_path, suffix, words
) -> None:
    """Google and Samsung put it into a box behind the image, and Samsung more behind that."""
    path = tmp_path / f"a.{suffix}"
    video = b"\0\0\0\x28mpvd\0\0\0\x18ftypmp42" + bytes(20) + b"no box, of a camera"
    write_picture(Picture.from_pixels(smooth()), path)
    path.write_bytes(path.read_bytes() + video)
    outcome = quietpixel(*WORD, path, "--model", halver, *words)
    assert outcome.code == 0, outcome.err
    assert f"The {len(video)} bytes after the image" in outcome.err
    result = path if words else clean(path)
    assert result.read_bytes().endswith(video)
    assert result.read_bytes().count(b"mpvd") == 1
    assert read_picture(result).size == (64, 48)


def test_an_animated_avif_is_not_replaced_by_its_first_frame(quietpixel, halver, tmp_path) -> None:
    path = animation(tmp_path / "a.avif")
    content = path.read_bytes()
    outcome = quietpixel(*WORD, path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "would not hold the frames of the animation; write it to another" in outcome.err
    assert path.read_bytes() == content
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert outcome.code == 0
    assert "The result does not hold the frames of the animation." in outcome.err


def test_light_levels_in_an_avif_are_named(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.avif"
    write_picture(Picture.from_pixels(smooth()), path)
    content = bytearray(path.read_bytes())
    box = struct.pack(">I4s2H", 12, b"clli", 1000, 400)
    start = content.index(b"ipco") - 4
    end = start + struct.unpack_from(">I", content, start)[0]
    entry = content.index(b"iloc") + 12  # of the only item: its data moves behind the new box
    for at in (*(content.index(name) - 4 for name in (b"meta", b"iprp", b"ipco")), entry + 4):
        struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + len(box))
    path.write_bytes(content[:end] + box + content[end:])
    outcome = quietpixel(*WORD, path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "would not hold the light levels of HDR (clli, mdcv); write it to" in outcome.err
    assert quietpixel(*WORD, path, "--model", halver).code == 0


def test_a_gain_map_in_an_avif_is_named(quietpixel, halver, tmp_path) -> None:
    """The brand tmap says that there is one (ISO 21496-1); no decoder here shows it."""
    path = tmp_path / "a.avif"
    write_picture(Picture.from_pixels(smooth()), path)
    content = path.read_bytes().replace(b"miaf", b"tmap", 1)
    path.write_bytes(content)
    assert b"tmap" in content[:40]
    outcome = quietpixel(*WORD, path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "would not hold the gain map; write it to another file." in outcome.err
    assert path.read_bytes() == content


@pytest.mark.parametrize("words", [(), ("--in-place",)])
def test_xmp_and_profile_of_a_tiff_that_libvips_cannot_read_stay(
    quietpixel, halver, tmp_path, words
) -> None:
    path = tmp_path / "a.tif"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"></rdf:RDF></x:xmpmeta>'
    options = {"extratags": [(700, 1, len(xmp), xmp, True)], "iccprofile": b"profile"}
    tifffile.imwrite(path, smooth()[..., 0] / 255, metadata=None, **options)
    assert quietpixel(*WORD, path, "--model", halver, *words).code == 0
    with tifffile.TiffFile(path if words else clean(path)) as file:
        tags = file.pages[0].tags
        assert tags[34675].value == b"profile"
        assert tags[700].value.startswith(xmp[:-22])
        assert b"quietpixel:denoised" in tags[700].value


def test_another_format_does_not_hold_what_follows_a_jpeg(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).save(path)
    path.write_bytes(path.read_bytes() + bytes(range(200)))
    outcome = quietpixel(*WORD, path, "--format", "png")
    assert outcome.code == 0
    assert "The 200 bytes after the image were dropped, because png does not hold" in outcome.err
    assert "are kept as is" not in outcome.err


# JPEG quality


def psnr(path: Path, reference: np.ndarray) -> float:
    error = np.asarray(Image.open(path), float) - reference
    return float(10 * np.log10(255**2 / np.mean(error**2)))


@pytest.mark.parametrize("quality", [50, 75])
def test_writing_a_jpeg_keeps_what_denoising_gained(quietpixel, tmp_path, quality) -> None:
    path, report = tmp_path / "a.jpg", tmp_path / "report.json"
    picture = data.astronaut()[40:232, 90:282]
    noise = np.random.default_rng(0).normal(0, 15, picture.shape)
    noisy = (picture + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=quality)
    exact_path, old_path = tmp_path / "exact.png", tmp_path / "old.jpg"
    assert quietpixel(*WORD, path, "-o", exact_path).code == 0
    outcome = quietpixel(*WORD, path, "--json", report)
    exact, new = (psnr(each, picture) for each in (exact_path, clean(path)))
    assert exact > psnr(path, picture) + 2
    assert exact - new < 0.1
    assert quietpixel(*WORD, path, "-o", old_path, "--jpeg-quality", "source").code == 0
    assert exact - psnr(old_path, picture) > 0.5, "or the test shows nothing"
    (entry,) = json.loads(report.read_text())["files"]
    ratio = clean(path).stat().st_size / path.stat().st_size
    assert (entry["jpeg_quality"], entry["size_ratio"]) == (98, pytest.approx(ratio))
    assert f"quality 98, {ratio:.1f}x the size" in outcome.out


@pytest.mark.parametrize(
    ("quality", "sampling", "expected"),
    [(99, "4:2:0", (99, "4:4:4")), (75, "4:2:0", (98, "4:4:4")), (30, "4:2:0", (96, "4:4:4"))],
)
def test_a_jpeg_is_never_of_a_lower_quality(
    quietpixel, tmp_path, quality, sampling, expected
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).save(path, quality=quality, subsampling=sampling)
    assert quietpixel(*WORD, path).code == 0
    encoding = read_picture(clean(path)).encoding
    assert (encoding.quality, encoding.subsampling) == expected


# Strength 0


@pytest.mark.parametrize("kind", ["jpeg", "cmyk", "gif", "webp", "png"])
def test_strength_0_copies_the_file(quietpixel, halver, tmp_path, kind) -> None:
    image, path = Image.fromarray(smooth()), tmp_path / f"a.{kind.replace('cmyk', 'jpeg')}"
    image = image.convert("CMYK") if kind == "cmyk" else image
    image.save(
        path, **({"save_all": True, "append_images": [image.rotate(9)]} if kind == "gif" else {})
    )
    assert quietpixel(*WORD, path, "--strength", 0).code == 0
    assert clean(path).read_bytes() == path.read_bytes()


def test_strength_0_still_obeys_format_and_quality(quietpixel, tmp_path) -> None:
    path = tmp_path / "a.jpeg"
    Image.fromarray(smooth()).save(path, quality=60)
    assert quietpixel(*WORD, path, "--strength", 0, "--jpeg-quality", 95).code == 0
    assert read_picture(clean(path)).encoding.quality == 95
    assert quietpixel(*WORD, path, "--strength", 0, "--format", "png").code == 0
    result = np.asarray(Image.open(tmp_path / "a-clean.png"))
    np.testing.assert_array_equal(result, np.asarray(Image.open(path)))
