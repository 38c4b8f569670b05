"""Figures that others published, each with the paper or repository it was read from.

PSNR in dB, additive Gaussian noise that is not clipped, sigma of 255; whole sets, mean of each
image's PSNR. They were not measured here and are shown in a column of their own.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """What one method reached on one set, by sigma of 255."""

    method: str
    psnr: dict[int, float]
    source: str


SIGMAS = (15, 25, 50)
GRAY = "figures of FFDNet (cszn/FFDNet)"
DRUNET = "DPIR (cszn/DPIR)"
SCUNET = "SCUNet (cszn/SCUNet)"
COLOUR = "tables of SwinIR, SCUNet and ART"


def at(method: str, source: str, *values: float) -> Published:
    return Published(method, dict(zip(SIGMAS, values, strict=True)), source)


COUNTS = {"set12": 12, "bsd68": 68, "cbsd68": 68}
"""Images of each set; figures are shown only next to a run over all of them."""
FIGURES: dict[str, tuple[Published, ...]] = {
    "set12": (
        at("BM3D", GRAY, 32.37, 29.97, 26.72),
        at("DnCNN-B, blind", GRAY, 32.68, 30.36, 27.21),
        at("FFDNet, sigma given", GRAY, 32.75, 30.43, 27.32),
        at("DRUNet, sigma given", DRUNET, 33.25, 30.94, 27.90),
        at("SCUNet", SCUNET, 33.43, 31.09, 28.04),
    ),
    "bsd68": (
        at("BM3D", GRAY, 31.08, 28.57, 25.62),
        at("DnCNN-B, blind", GRAY, 31.61, 29.16, 26.23),
        at("FFDNet, sigma given", GRAY, 31.63, 29.19, 26.29),
        at("DRUNet, sigma given", DRUNET, 31.91, 29.48, 26.59),
        at("SCUNet", SCUNET, 31.99, 29.55, 26.67),
    ),
    "cbsd68": (
        at("CBM3D", COLOUR, 33.52, 30.71, 27.38),
        at("DnCNN", COLOUR, 33.90, 31.24, 27.95),
        at("FFDNet, sigma given", COLOUR, 33.87, 31.21, 27.96),
        at("DRUNet, sigma given", COLOUR, 34.30, 31.69, 28.51),
    ),
}
