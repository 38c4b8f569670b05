"""Files as phones, cameras, scanners and editors write them, generated; each with a second reader.

`KINDS[name].make(n)` gives the bytes of its n-th file; `read` gives the pixels of all frames on a
scale of 0 to 1, with another library than quietpixel takes where there is one.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
import OpenEXR
import pillow_heif
import pyvips
import rawpy
import tifffile
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from .. import dng

Frames = list[np.ndarray]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" '
    b'xmp:CreatorTool="Editor 5"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: its suffix, generator, second reader, and how far results may be off."""

    suffix: str
    make: Callable[[int], bytes]
    read: Callable[[bytes], Frames]
    tolerance: float = 1.5 / 255
    result: str = ""
    """Suffix of the result, where it differs."""


KINDS: dict[str, Kind] = {}


def kind(suffix: str, read: Callable[[bytes], Frames], **options):
    def register(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        KINDS[make.__name__] = Kind(suffix, make, read, **options)
        return make

    return register


def photo(n: int, channels: int = 3, white: float = 255, dtype: type = np.uint8) -> np.ndarray:
    """Return a smooth image with a little noise, whose size and colours depend on the number."""
    height, width = 48 + 8 * n, 64 + 4 * n
    rng = np.random.default_rng(n)
    ramp = np.add.outer(np.linspace(0.2, 0.5, height), np.linspace(0, 0.3 + 0.05 * n, width))
    image = ramp[..., None] * np.linspace(1, 0.7, channels)
    image = (image + rng.normal(0, 0.01, image.shape)).clip(0.02, 0.98) * white
    return (np.rint(image) if np.dtype(dtype).kind == "u" else image).astype(dtype)


def exif(n: int, orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[271], block[272], block[274] = "Maker", f"Model {n}", orientation
    block[306], block[315] = "2026:05:06 07:08:09", "Ann"
    details = block.get_ifd(34665)
    details[33434], details[33437] = IFDRational(1, 125), IFDRational(28, 10)
    details[34855] = 100 * (n + 1)
    details[37500] = b"Maker notes " + bytes(range(200))
    place = block.get_ifd(34853)
    place[1], place[2] = "N", (47.0, 22.0, 3.0)
    return block


def save(image: Image.Image | np.ndarray, form: str, **options) -> bytes:
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(
        stream, form, **options
    )
    return stream.getvalue()


def tiff(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **{"metadata": None, "software": "Scanner 3"} | options)
    return stream.getvalue()


# Second readers


def by_pillow(content: bytes) -> Frames:
    frames = []
    with Image.open(io.BytesIO(content)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            form = image.mode if image.mode in ("L", "CMYK", "RGB", "RGBA", "LA") else "RGB"
            form = "RGBA" if image.mode == "P" and "transparency" in image.info else form
            frames.append(np.asarray(image.convert(form), float) / 255)
    return frames


def first_by_pillow(content: bytes) -> Frames:
    with Image.open(io.BytesIO(content)) as image:
        return [np.asarray(image.convert("RGB"), float) / 255]


def colours_by_pillow(content: bytes) -> Frames:
    """Return frames without transparency, which writers of GIF use for what does not change."""
    return [
        np.asarray(Image.fromarray(np.uint8(255 * frame)).convert("RGB"), float) / 255
        for frame in by_pillow(content)
    ]


def by_tifffile(content: bytes) -> Frames:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        pixels = file.series[0].asarray()
        white = {"u": 2.0 ** file.pages[0].bitspersample - 1}.get(pixels.dtype.kind, 1.0)
        pages = pixels if file.series[0].ndim > 2 and pixels.shape[-1] > 4 else [pixels]
        return [page / white for page in pages]


def by_imagecodecs(codec: str, white: float = 255) -> Callable[[bytes], Frames]:
    decode = getattr(imagecodecs, f"{codec}_decode")
    return lambda content: [decode(content) / white]


def by_heif(white: float = 255) -> Callable[[bytes], Frames]:
    def read(content: bytes) -> Frames:
        image = pillow_heif.open_heif(
            io.BytesIO(content), convert_hdr_to_8bit=False, hdr_to_16bit=False
        )
        return [np.asarray(image)[:, : image.size[0]] / white]

    return read


def by_openexr(content: bytes) -> Frames:
    channels = OpenEXR.File(io.BytesIO(content), separate_channels=True).channels()
    return [np.stack([channels[name].pixels for name in "RGB"], axis=2).astype(float)]


def by_rawpy(content: bytes) -> Frames:
    if not content.startswith((b"II", b"MM")) or b"\x12\xc6" not in content[:400]:
        return by_tifffile(content)
    with rawpy.imread(io.BytesIO(content)) as raw:
        pixels = raw.postprocess(
            use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB, gamma=(2.4, 12.92),
            output_bps=16, no_auto_bright=True, user_flip=0,
        )  # fmt: skip
    return [pixels / 65535]


# Phones and cameras


@kind("jpg", by_pillow, tolerance=3 / 255)
def phone_jpeg(n: int) -> bytes:
    options = {"exif": exif(n, 1 + 2 * n).tobytes(), "icc_profile": PROFILE, "xmp": XMP}
    return save(photo(n), "jpeg", quality=90 + n, **options)


@kind("jpg", by_pillow, tolerance=3 / 255)
def motion_photo(n: int) -> bytes:
    return phone_jpeg(n) + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * (10 + n)


@kind("jpg", first_by_pillow, tolerance=3 / 255)
def stereo_views(n: int) -> bytes:
    views = [Image.fromarray(np.roll(photo(n), 9 * each, axis=1)) for each in range(2 + n)]
    return save(views[0], "MPO", save_all=True, append_images=views[1:], quality=92)


@kind("jpg", first_by_pillow, tolerance=3 / 255)
def ultra_hdr(n: int) -> bytes:
    light = (photo(n) / np.float32(64)) ** 2
    image = pyvips.Image.new_from_array(light.astype(np.float32)).copy(interpretation="scrgb")
    return image.uhdrsave_buffer(Q=92)


@kind("jpg", by_pillow, tolerance=3 / 255)
def camera_jpeg(n: int) -> bytes:
    options = {"exif": exif(n).tobytes(), "progressive": n % 2 == 0, "subsampling": n % 3}
    return save(photo(n), "jpeg", quality=85 + 4 * n, dpi=(300, 300), **options)


@kind("heic", by_heif(), tolerance=3 / 255)
def phone_heic(n: int) -> bytes:
    options = {"exif": exif(n).tobytes(), "icc_profile": PROFILE, "quality": 92}
    stream = io.BytesIO()
    pixels = photo(n)
    size = pixels.shape[1::-1]
    pillow_heif.from_bytes("RGB", size, pixels.tobytes()).save(stream, chroma=444, **options)
    return stream.getvalue()


@kind("heic", by_heif(1023), tolerance=3 / 255)
def phone_heic_hdr(n: int) -> bytes:
    stream, pixels = io.BytesIO(), photo(n, white=1023, dtype=np.uint16) << 6
    image = pillow_heif.from_bytes("RGB;16", pixels.shape[1::-1], pixels.tobytes())
    numbers = {"color_primaries": 9, "transfer_characteristics": 16, "matrix_coefficients": 9}
    image.save(stream, quality=95, chroma=444, bit_depth=10, **numbers)
    return stream.getvalue()


@kind("avif", by_imagecodecs("avif"), tolerance=3 / 255)
def phone_avif(n: int) -> bytes:
    return save(photo(n), "avif", quality=92, exif=exif(n), icc_profile=PROFILE)


@kind("avif", by_imagecodecs("avif", 1023), tolerance=3 / 255)
def hdr_avif(n: int) -> bytes:
    numbers = {"primaries": 9, "transfer": 16 + 2 * (n % 2), "matrix": 9}
    pixels = photo(n, white=1023, dtype=np.uint16)
    return imagecodecs.avif_encode(pixels, level=96, bitspersample=10, **numbers)


@kind("dng", by_rawpy, result="tif", tolerance=2 / 255)
def camera_raw(n: int) -> bytes:
    layouts = (dng.plain, dng.compressed, dng.with_preview, dng.linear)
    return layouts[n](dng.make_mosaic(24 + 2 * n, 32), 1 + 5 * (n % 2))


# Scanners


@kind("jpg", by_pillow, tolerance=3 / 255)
def scanned_page(n: int) -> bytes:
    return save(photo(n, 1)[..., 0], "jpeg", quality=92, dpi=(150 + 50 * n, 300))


@kind("tif", by_tifffile)
def scanned_photo(n: int) -> bytes:
    options = {"compression": "lzw", "resolution": (300 * (n + 1), 300), "iccprofile": PROFILE}
    return tiff(photo(n), datetime="2026:01:02 03:04:05", description=f"Scan {n}", **options)


@kind("tif", by_tifffile)
def scanned_film(n: int) -> bytes:
    pixels = photo(n, white=65535, dtype=np.uint16)
    return tiff(pixels, compression="zlib", predictor=n % 2 == 0, resolution=(4000, 4000))


@kind("tif", by_tifffile, tolerance=1)
def fax(n: int) -> bytes:
    pages = Image.fromarray(photo(n, 1)[..., 0] > 128)
    return save(pages, "tiff", compression=("group4", "group3", None, "packbits")[n])


@kind("tif", by_tifffile)
def scanned_pages(n: int) -> bytes:
    pages = np.stack([photo(n, 1)[..., 0]] * 3)
    return tiff(pages, photometric="minisblack", compression=("lzw", "zlib", None, "packbits")[n])


# Microscopes and maps


@kind("tif", by_tifffile)
def microscope_floats(n: int) -> bytes:
    pixels = photo(n, 1, 1.0, np.float32)[..., 0]
    pixels[0, :2] = 0, 1  # the range, which decides the scale
    return tiff(pixels, tile=(16, 16) if n % 2 else None)


@kind("tif", by_tifffile)
def imagej_stack(n: int) -> bytes:
    stream = io.BytesIO()
    pages = np.stack([photo(n, 1, 65535, np.uint16)[..., 0]] * 4)
    tifffile.imwrite(stream, pages, imagej=True, metadata={"axes": "ZYX", "spacing": 0.5})
    return stream.getvalue()


@kind("ome.tif", by_tifffile)
def ome_pyramid(n: int) -> bytes:
    stream = io.BytesIO()
    pages = np.stack([np.tile(photo(n, 1)[..., 0], (3, 3))] * 2)
    with tifffile.TiffWriter(stream, ome=True) as writer:
        options = {"tile": (64, 64), "photometric": "minisblack"}
        writer.write(pages, subifds=1, metadata={"axes": "ZYX"}, **options)
        writer.write(pages[:, ::2, ::2], subfiletype=1, **options)
    return stream.getvalue()


@kind("tif", by_tifffile)
def map_with_overviews(n: int) -> bytes:
    stream, pixels = io.BytesIO(), np.tile(photo(n), (4, 4, 1))
    place = (33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)
    keys = (34735, "H", 4, (1, 1, 0, 0), True)
    with tifffile.TiffWriter(stream) as writer:
        options = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib"}
        writer.write(pixels, extratags=(*place, keys), metadata=None, **options)
        writer.write(pixels[::2, ::2], subfiletype=1, metadata=None, **options)
    return stream.getvalue()


# Editors


@kind("jpg", by_pillow, tolerance=4 / 255)
def press_jpeg(n: int) -> bytes:
    inks = np.dstack([255 - photo(n), np.full(photo(n).shape[:2], 9, np.uint8)])
    return save(Image.fromarray(inks, "CMYK"), "jpeg", quality=95, dpi=(300, 300))


@kind("png", by_pillow)
def edited_png(n: int) -> bytes:
    options = {"icc_profile": PROFILE, "dpi": (72, 72), "exif": exif(n)} if n % 2 else {}
    return save(photo(n, 3 + n % 2), "png", **options)


@kind("png", by_imagecodecs("png", 65535))
def deep_png(n: int) -> bytes:
    return imagecodecs.png_encode(photo(n, 3, 65535, np.uint16))


@kind("png", by_pillow, tolerance=4 / 255)
def indexed_png(n: int) -> bytes:
    return save(Image.fromarray(photo(n)).quantize(40 + 60 * n), "png")


@kind("png", by_pillow, tolerance=0.3)
def drawing_of_few_bits(n: int) -> bytes:
    bits = (1, 2, 4, 4)[n]
    levels = (photo(n, 1)[..., 0] // (256 // 2**bits)).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    grays = [255 * each // (2**bits - 1) for each in range(2**bits)]
    image.putpalette([value for gray in grays for value in (gray,) * 3])
    return save(image, "png", bits=bits)


@kind("webp", by_pillow, tolerance=4 / 255)
def web_picture(n: int) -> bytes:
    return save(photo(n), "webp", quality=90, exif=exif(n), icc_profile=PROFILE, xmp=XMP)


@kind("webp", by_pillow)
def web_graphic(n: int) -> bytes:
    return save(photo(n, 4), "webp", lossless=True, exact=True)


@kind("bmp", by_pillow)
def old_bitmap(n: int) -> bytes:
    return save(photo(n), "bmp")


@kind("ppm", by_pillow)
def portable_pixels(n: int) -> bytes:
    return save(photo(n, (1, 3)[n % 2]).squeeze(), "ppm")


@kind("jxl", by_imagecodecs("jpegxl"))
def jpeg_xl(n: int) -> bytes:
    return imagecodecs.jpegxl_encode(photo(n, 3 + n % 2), lossless=True)


@kind("jp2", by_imagecodecs("jpeg2k"))
def archive_jp2(n: int) -> bytes:
    return imagecodecs.jpeg2k_encode(photo(n), level=0, reversible=True)


@kind("exr", by_openexr, tolerance=2 / 255)
def rendering(n: int) -> bytes:
    stream, pixels = io.BytesIO(), photo(n, 3, 1.0, np.float32)
    pixels[0, :2] = [[0] * 3, [1] * 3]
    kinds = np.float16 if n % 2 else np.float32
    channels = {name: pixels[..., at].astype(kinds) for at, name in enumerate("RGB")}
    channels["Z"] = pixels[..., 0].copy()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header | {"owner": f"Studio {n}"}, channels).write(stream)
    return stream.getvalue()


@kind("hdr", lambda content: [imagecodecs.rgbe_decode(content, header=True)], tolerance=3 / 255)
def light_probe(n: int) -> bytes:
    pixels = photo(n, 3, 1.0, np.float32)
    pixels[0, :2] = [[0] * 3, [1] * 3]
    return imagecodecs.rgbe_encode(pixels, header=True)


# Animations


def moving(n: int, form: str, **options) -> bytes:
    frames = [Image.fromarray(np.roll(photo(n), 7 * each, axis=1)) for each in range(3 + n)]
    durations = [80 + 20 * each for each in range(len(frames))]
    words = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": n}
    return save(frames[0], form, **words, **options)


@kind("gif", colours_by_pillow, tolerance=8 / 255)
def animated_gif(n: int) -> bytes:
    return moving(n, "gif", comment=f"Clip {n}")


@kind("webp", by_pillow, tolerance=4 / 255)
def animated_webp(n: int) -> bytes:
    return moving(n, "webp", lossless=True)


@kind("png", by_pillow)
def animated_png(n: int) -> bytes:
    return moving(n, "png")


def tail_of(content: bytes) -> bytes:
    """Return what follows the first image of a JPEG, from the second image or video on."""
    at = max(content.find(b"\0\0\0\x18ftypmp42"), content.find(b"\xff\xd9\xff\xd8") + 2)
    return content[at:] if at > 1 else b""


def nclx_of(content: bytes) -> tuple[int, ...]:
    at = content.find(b"colrnclx")
    return struct.unpack_from(">HH", content, at + 8) if at >= 0 else ()
