"""quietpixel takes the noise out of images with denoising autoencoders.

Every public name is loaded when it is first used, so that ``import quietpixel`` stays cheap and
denoising never loads what only training needs.

Examples
--------
>>> import quietpixel
>>> str(quietpixel.parse_noise("gaussian:0.5"))
'gaussian:0.5'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quietpixel.card import Card as Card
    from quietpixel.errors import QuietpixelError as QuietpixelError
    from quietpixel.inference.denoiser import Denoiser as Denoiser
    from quietpixel.inference.denoiser import denoise as denoise
    from quietpixel.inference.engine import read_card as read_card
    from quietpixel.noise.measure import fit_law as fit_law
    from quietpixel.noise.parser import parse_noise as parse_noise
    from quietpixel.training.recipe import Recipe as Recipe
    from quietpixel.workflows.calibrate import calibrate as calibrate
    from quietpixel.workflows.calibrate import uncertainty as uncertainty
    from quietpixel.workflows.compare import compare as compare
    from quietpixel.workflows.evaluate import evaluate as evaluate
    from quietpixel.workflows.measure_noise import measure_noise as measure_noise
    from quietpixel.workflows.train import train as train

    __version__: str

__all__ = [
    "Card",
    "Denoiser",
    "QuietpixelError",
    "Recipe",
    "__version__",
    "calibrate",
    "compare",
    "denoise",
    "evaluate",
    "fit_law",
    "measure_noise",
    "parse_noise",
    "read_card",
    "train",
    "uncertainty",
]

_HOME = {
    "Card": "quietpixel.card",
    "Denoiser": "quietpixel.inference.denoiser",
    "QuietpixelError": "quietpixel.errors",
    "Recipe": "quietpixel.training.recipe",
    "calibrate": "quietpixel.workflows.calibrate",
    "compare": "quietpixel.workflows.compare",
    "denoise": "quietpixel.inference.denoiser",
    "evaluate": "quietpixel.workflows.evaluate",
    "fit_law": "quietpixel.noise.measure",
    "measure_noise": "quietpixel.workflows.measure_noise",
    "parse_noise": "quietpixel.noise.parser",
    "read_card": "quietpixel.inference.engine",
    "train": "quietpixel.workflows.train",
    "uncertainty": "quietpixel.workflows.calibrate",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("quietpixel")
    elif name == "cluster":
        value = import_module("quietpixel.cluster")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'quietpixel' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
