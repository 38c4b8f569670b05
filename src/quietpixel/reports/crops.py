"""Images at full size under each method, in panes that move together, and what is wrong there."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.evaluation.comparison import Contestant
from quietpixel.evaluation.trials import Trials, describe_noise
from quietpixel.noise.parser import NoiseLaw
from quietpixel.reports.worst_images import find_worst_place

Image = NDArray[np.float32]

SCRIPT = (Path(__file__).parent / "crops.js").read_text()
"""What makes the panes of a page move together."""

MOST = 384
"""Of a larger image so many pixels are kept, around the place where the first method is worst."""
PANE = 192
"""Least width of a pane on the page; a smaller image is enlarged by a whole number."""
STRENGTH = 4
"""How many times an error is enlarged around middle gray."""


def choose_images(psnr: Sequence[float]) -> dict[str, int]:
    """Return the images on which a method is worst, and in the middle.

    Examples
    --------
    >>> choose_images([30.0, 20.0, 40.0])
    {'worst': 1, 'middle': 0}
    """
    order = np.argsort(psnr, kind="stable").tolist()
    return {"worst": order[0], "middle": order[len(order) // 2]}


def build_crops(
    contestants: Sequence[Contestant],
    trials: Trials,
    law: NoiseLaw | None,
    *,
    seed: int,
    chosen: dict[str, int],
) -> str:
    """Return a section of a page as HTML, for `SCRIPT` to move.

    Parameters
    ----------
    contestants
        The methods; those without one, the noisy images, are shown once.
    trials, law, seed
        As they were judged.
    chosen
        Numbers of images by a word that says why they are shown.
    """
    noise = describe_noise("" if law is None else str(law))
    words = (
        f"Drag one and all follow; the arrow keys move them too. Below each is what is "
        f"wrong: output less the clean image, {STRENGTH} times, gray where they are the same. "
        f"The images are those on which {contestants[0].name} is worst, and in the middle."
    )
    groups = "".join(
        _group(contestants, *trials.pair(number, law, seed), f"{why}: {trials.name(number)}")
        for why, number in chosen.items()
    )
    title = html.escape(f"At full size, {noise}")
    return f"<section><h2>{title}</h2><p>{html.escape(words)}</p>{groups}</section>"


def _group(contestants: Sequence[Contestant], clean: Image, noisy: Image, title: str) -> str:
    methods = [each for each in contestants if each.method is not None]
    outputs = {each.name: _clip(each.method(noisy[None])[0]) for each in methods if each.method}
    judged = next(iter(outputs.values())) if contestants[0].method is not None else _clip(noisy)
    place, at = _find_part(clean, judged)
    shown = {"clean": clean, "noisy": _clip(noisy), **outputs}
    wrong = {name: _clip(0.5 + STRENGTH * (image - clean)) for name, image in shown.items()}
    scale = max(1, PANE // max(clean.shape[:2]))
    cells = "".join(
        f"<figure>{_pane(name, image[place], scale)}{below}<figcaption>{html.escape(name)}"
        "</figcaption></figure>"
        for name, image in shown.items()
        for below in [_pane(f"{name}: wrong", wrong[name][place], scale)]
    )
    where = f"{at[1] * scale},{at[0] * scale}"
    return f'<h3>{html.escape(title)}</h3><div class="panes" data-at="{where}">{cells}</div>'


def _find_part(clean: Image, judged: Image) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Return what is kept of an image, and the middle of its worst place within that."""
    part = find_worst_place(clean, judged, side=MOST)
    rows, columns = find_worst_place(clean[part], judged[part])
    return part, ((rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2)


def _pane(name: str, image: Image, scale: int) -> str:
    height, width = image.shape[:2]
    label, size = html.escape(name), f"width:{width * scale}px;height:{height * scale}px"
    return (
        f'<div class="pane" tabindex="0" role="group" aria-label="{label}">'
        f'<img alt="{label}" draggable="false" style="{size}" '
        f'src="data:image/png;base64,{_encode(image)}"></div>'
    )


def _encode(image: Image) -> str:
    from matplotlib.image import imsave

    pixels = np.rint(255 * np.asarray(image, np.float64)).astype(np.uint8)
    file = io.BytesIO()
    imsave(file, np.repeat(pixels, 3 // pixels.shape[-1], axis=-1), format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _clip(image: Image) -> Image:
    return np.clip(image, 0, 1)
