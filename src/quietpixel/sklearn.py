"""The autoencoder as a scikit-learn transformer.

Nothing else of quietpixel imports this module; ``import quietpixel`` does not load scikit-learn.
"""

from typing import Any

import numpy as np

from quietpixel.array_types import Array, FloatArray
from quietpixel.errors import ArgumentError, naming_missing
from quietpixel.noise.parser import add_noise, parse_noise

with naming_missing("quietpixel.sklearn needs", "train"):
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data


MULTIPLE = 4
"""The models halve an image twice, so height and width are padded to a multiple of this."""
SCORE_SEED = 11_000_003
"""Seed of the noise of `score`, which no training uses."""


def _has_code(estimator: "DenoisingAutoencoder") -> bool:
    from quietpixel.models import MODELS, model_options

    return estimator.model in MODELS and "code" in model_options(estimator.model)


class DenoisingAutoencoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A denoising autoencoder that is fitted to clean images and removes noise from others.

    Samples are images (N, H, W) or (N, H, W, C), or rows (N, H * W * C) as usual in scikit-learn. A
    row whose features do not fill a square image is padded with zeros.

    Parameters
    ----------
    model
        ``"bottleneck"`` (a dense code; all images of one size) or ``"unet"``.
    noise
        Noise law for training, on the [0, 1] scale of the fitted data.
    code
        Length of the code of the bottleneck.
    epochs, batch
        Passes over the data, and images in a step.
    learning_rate
        The highest learning rate; None uses the recipe's.
    image_shape
        (H, W) or (H, W, C) of images given as rows; None assumes square gray images.
    random_state
        Seed, `numpy.random.RandomState` or None, of weights and noise.

    Attributes
    ----------
    low_, high_
        The smallest and the largest value of the training data: black and white.
    image_shape_
        (H, W, C) of an image.
    model_
        The trained model (`quietpixel.training.in_memory.ImageModel`).
    n_features_in_
        H * W * C.

    References
    ----------
    P. Vincent et al., "Extracting and composing robust features with denoising autoencoders",
    ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits  # doctest: +SKIP
    >>> images = load_digits().data  # doctest: +SKIP
    >>> denoiser = DenoisingAutoencoder(epochs=30).fit(images[:1500])  # doctest: +SKIP
    >>> denoised = denoiser.transform(images[1500:] + noise)  # doctest: +SKIP
    >>> codes = denoiser.encode(images[1500:])  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        model: str = "bottleneck",
        noise: str = "gaussian:0.2",
        code: int = 16,
        epochs: int = 20,
        batch: int = 128,
        learning_rate: float | None = None,
        image_shape: tuple[int, ...] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.model = model
        self.noise = noise
        self.code = code
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "DenoisingAutoencoder":  # noqa: N803
        """Train on clean images; `y` is ignored.

        Raises
        ------
        ArgumentError
            If a parameter breaks its rule.
        ValueError
            If `X` is not an array of finite numbers.
        """
        from quietpixel.training.in_memory import fit_images

        rows, shape = self._rows(X, reset=True)
        self.image_shape_ = self._find_shape(shape, rows.shape[1])
        self.low_, self.high_ = float(rows.min()), float(rows.max())
        images = self._to_images(rows)
        self.model_ = fit_images(images, self._make_recipe(images))
        return self

    def transform(self, X: Any) -> Array:  # noqa: N803
        """Return images without their noise, in the shape and the float type of `X`."""
        rows, shape = self._rows(X)
        denoised = self._from_images(self.model_.denoise(self._to_images(rows)))
        return denoised.astype(rows.dtype).reshape(shape)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Return the negative mean squared error of clean images after adding and removing noise.

        The noise follows `noise` and is always the same; errors are on the [0, 1] scale. Higher is
        better; `y` is ignored.
        """
        images = self._to_images(self._rows(X)[0])
        noisy = add_noise(images, parse_noise(self.noise), seed=SCORE_SEED)
        error = self._crop(self.model_.denoise(noisy) - images)
        return -float(np.mean(np.square(error, dtype=np.float64)))

    @available_if(_has_code)  # type: ignore[untyped-decorator]
    def encode(self, X: Any) -> FloatArray:  # noqa: N803
        """Return the codes of images, (N, code); only for the bottleneck."""
        return self.model_.encode(self._to_images(self._rows(X)[0]))

    @available_if(_has_code)  # type: ignore[untyped-decorator]
    def decode(self, codes: Any) -> FloatArray:
        """Return the images of codes (N, code) as rows (N, n_features); only for the bottleneck.

        Raises
        ------
        ArgumentError
            If the codes have another length.
        """
        check_is_fitted(self)
        ready = check_array(codes, dtype=np.float32)
        if ready.shape[1] != self.code:
            raise ArgumentError(
                f"`codes` must have {self.code} numbers each, as those of this autoencoder; got "
                f"{ready.shape[1]}. Pass what `encode` returns."
            )
        return self._from_images(self.model_.decode(ready))

    def _rows(self, X: Any, *, reset: bool = False) -> tuple[Array, tuple[int, ...]]:  # noqa: N803
        """Return (N, n_features) of a float type, checked, and the shape of `X`."""
        if not reset:
            check_is_fitted(self)
        if not hasattr(X, "ndim"):  # a list, or an object that refuses NumPy's functions
            X = np.asarray(X)  # noqa: N806
        shape = X.shape
        if X.ndim in (3, 4):
            X = np.reshape(X, (len(X), -1))  # noqa: N806
        rows = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])
        return np.asarray(rows), shape

    def _find_shape(self, given: tuple[int, ...], features: int) -> tuple[int, int, int]:
        shape = given[1:] if len(given) > 2 else self.image_shape
        if shape is None:
            side = int(np.ceil(np.sqrt(features)))
            return side, side, 1
        shape = tuple(int(side) for side in shape)
        shape = (*shape, 1) if len(shape) == 2 else shape
        if len(shape) != 3 or shape[2] not in (1, 3) or np.prod(shape) != features:
            raise ArgumentError(
                "`image_shape` must be (H, W) or (H, W, C) with 1 or 3 channels, and hold the "
                f"{features} features of a sample; got {shape}."
            )
        return shape[0], shape[1], shape[2]

    def _to_images(self, rows: Array) -> FloatArray:
        """Return (N, S, S, C) on the [0, 1] scale, padded by the last rows and columns."""
        span = self.high_ - self.low_
        scaled = ((rows - self.low_) / (span or 1.0)).astype(np.float32)
        height, width, channels = self.image_shape_
        missing = height * width * channels - rows.shape[1]
        images = np.pad(scaled, ((0, 0), (0, missing))).reshape(-1, height, width, channels)
        side = -(-max(height, width) // MULTIPLE) * MULTIPLE
        below, right = side - height, side - width
        return np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")

    def _from_images(self, images: FloatArray) -> FloatArray:
        rows = self._crop(images)
        span = np.float32(self.high_ - self.low_)
        return rows * (span or np.float32(1)) + np.float32(self.low_)

    def _crop(self, images: FloatArray) -> FloatArray:
        height, width, _ = self.image_shape_
        return images[:, :height, :width].reshape(len(images), -1)[:, : self.n_features_in_]

    def _make_recipe(self, images: FloatArray) -> Any:
        from quietpixel.models import complete_options
        from quietpixel.training.named_recipes import named_recipe

        height, channels = images.shape[1], images.shape[3]
        options = complete_options(self.model, {}, channels=channels, size=height)
        if _has_code(self):
            options["code"] = self.code
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return named_recipe(
            "tuned",
            data="array",
            model=self.model,
            options=options,
            noise=self.noise,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            seed=int(seed),
        )
