"""Denoises arrays: every check and decision is made once, then a job is computed tile by tile."""

import contextlib
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from quietpixel.array_types import Array, FloatArray
from quietpixel.card import Card
from quietpixel.imaging.intensity_scale import (
    FIXED_SCALES,
    Range,
    Scale,
    estimate_range,
    follow_training,
    type_ceiling,
)
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.arrays import (
    Layout,
    check_batch,
    check_out,
    check_range,
    read_axes,
    read_layout,
    with_channels,
    with_mask,
)
from quietpixel.inference.engine import Engine, open_engine, preload_engine
from quietpixel.inference.job import DenoiseJob, OnProgress, Result, run
from quietpixel.inference.level import NoiseLevel, estimate_level, find_level, level_factors
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import cache_of, find_model
from quietpixel.inference.options import ENGINE_OPTIONS, DenoiseOptions, Sigma, parse_memory
from quietpixel.inference.photons import (
    describe_law,
    may_grow,
    may_have_photons,
    stabilise,
    stabilised_job,
    stable_options,
)
from quietpixel.inference.planes import denoise_planes, join, shared_level, split
from quietpixel.inference.repair import fill_holes, find_repair
from quietpixel.inference.tile_plan import bytes_per_pixel, choose_grid


class Denoiser:
    """A model kept open, called on one image after the other.

    Parameters
    ----------
    model, engine, precision, device, threads, memory, streams, quality
        As for `DenoiseOptions`.
    **defaults
        The other options, such as `dtype`, for images that are denoised without them.

    Attributes
    ----------
    options
        All of them.
    memory
        The memory limit in bytes.

    Warns
    -----
    UserWarning
        If the processor computes because the `device` is not there.

    Examples
    --------
    >>> denoiser = Denoiser("mnist-unet")  # doctest: +SKIP
    >>> denoised = denoiser(noisy, strength=0.8)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        engine: str = "openvino",
        precision: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
        memory: int | str = "512MB",
        streams: int = 1,
        quality: str = "normal",
        **defaults: Any,
    ) -> None:
        self.options = DenoiseOptions.named(
            model=model, engine=engine, precision=precision, device=device, threads=threads,
            memory=memory, streams=streams, quality=quality, **defaults,
        )  # fmt: skip
        self.memory = parse_memory(memory)
        self._opened: Engine | None = None
        self._lock = threading.Lock()
        self._path = find_model(model)
        if model is not None:
            _ = self.engine  # a wrong model or option fails here, not at the first image

    @classmethod
    def from_options(cls, options: DenoiseOptions) -> Self:
        """Return a denoiser with options that also say how an image is treated by default."""
        return cls(**vars(options))

    def __getstate__(self) -> dict[str, Any]:
        """Return what can go to another process, where the engines are opened anew."""
        return {**self.__dict__, "_opened": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what `__getstate__` returned."""
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def card(self) -> Card:
        """The card of the model."""
        # From the engine where it is open: on a cluster worker, the file is gone by then.
        return self._opened.card if self._opened else read_card(self._path)

    def card_for(self, channels: int) -> Card:
        """Return the card of the model, the same for gray and for RGB images; as in 0.1."""
        return self.card

    @property
    def precision(self) -> str:
        """The arithmetic in use: ``"f32"``, ``"bf16"`` or ``"f16"``."""
        return self.engine.precision

    @property
    def engine(self) -> Engine:
        """The open model; it says on which device it computes."""
        with self._lock:
            if self._opened is None:
                options = self.options.of(ENGINE_OPTIONS)
                self._opened = open_engine(self._path, cache=cache_of(self._path), **options)
                if self._opened.fallback:
                    warnings.warn(self._opened.fallback, stacklevel=3)
            return self._opened

    def preload(self) -> None:
        """Begin to open the model on another thread; what goes wrong shows when it is used."""
        preload_engine(self.options.engine)  # here, because threads would take turns at it

        def open_quietly() -> None:
            with contextlib.suppress(Exception):
                _ = self.engine

        # Never a daemon, as threads of daemons are: Python cannot end one that is inside a library.
        threading.Thread(target=open_quietly, daemon=False).start()

    def __call__(  # noqa: PLR0913  (the options of an image)
        self,
        image: Array,
        *,
        sigma: Sigma | None = None,
        strength: float | None = None,
        colour_strength: float | None = None,
        range: Range | None = None,
        axes: str | None = None,
        channels: str | None = None,
        law: str | None = None,
        dtype: str | None = None,
        on_progress: OnProgress | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return `image` without its noise, in the same type and shape; `image` is not changed.

        Parameters
        ----------
        image
            bool, integers or floats, (H, W), (H, W, 1) or (H, W, 3); with alpha (H, W, 2) or
            (H, W, 4); with `axes` any shape. Values that are masked or not finite come back as they
            are.
        sigma, strength, colour_strength, range, axes, channels, law, dtype
            As for `DenoiseOptions`; None takes those of the denoiser's own options.
        on_progress
            Called with the share done, in [0, 1], before the first tile and after each; what it
            raises ends the work.
        out
            Where the result is put, of its type and shape; it may be `image` itself, which halves
            the memory for large images. None makes a new array.

        Raises
        ------
        ImageError
            If the image cannot be used, or has another size than the model's only one.
        ArgumentError
            If another argument breaks its rule.
        """
        options = self.options.changed(
            sigma=sigma, strength=strength, colour_strength=colour_strength, range=range, axes=axes,
            channels=channels, law=law, dtype=dtype,
        )  # fmt: skip
        result = self.denoise(image, options, on_progress=on_progress, out=out)
        return result.image if out is None else out

    def denoise(
        self,
        image: Array,
        options: DenoiseOptions | None = None,
        *,
        scale: Scale | None = None,
        on_progress: OnProgress | None = None,
        out: Array | None = None,
    ) -> Result:
        """Return `image` without its noise, with the noise that was found, its scale and notes.

        Parameters
        ----------
        image, on_progress, out
            As for calling the denoiser.
        options
            How the image is treated; None takes those of the denoiser. Its model and engine are
            always the denoiser's own.
        scale
            Black and white of several images, as `find_scale` returned them; None finds those of
            this image, or of each channel.
        """
        options = options or self.options
        axes = read_axes(image, options.axes, options.channels)
        if axes.inner == tuple(range(image.ndim)):
            return run(self.prepare(image, options, scale=scale, out=out), on_progress)
        dtype = np.dtype(options.dtype or image.dtype)
        target = np.empty(image.shape, dtype) if out is None else out
        check_out(target, image, dtype)
        planes = split(image, target, axes)
        scales = {} if scale is None else {plane.channel: scale for plane in planes}
        results = denoise_planes(self, planes, options, scales=scales, on_progress=on_progress)
        return join(results, with_mask(target, image))

    def prepare(
        self,
        image: Array,
        options: DenoiseOptions | None = None,
        *,
        scale: Scale | None = None,
        out: Array | None = None,
    ) -> DenoiseJob:
        """Return the job for one image: all checks and decisions are made here.

        Parameters
        ----------
        image, options, scale, out
            As for `denoise`; the axes of the options are ignored.
        """
        options = options or self.options
        layout = read_layout(image, options.range, holes=True)
        scale = scale or self.find_scale([image], options, layouts=[layout])
        layout = layout.on_scale(scale, options.dtype)
        if out is not None:
            check_out(out, image, layout.result)
        if scale.photons is not None:
            takes_level = self.card.takes_level
            return stabilised_job(
                self.prepare, image, layout, options, scale, takes_level=takes_level, out=out
            )
        if scale.black == scale.white and isinstance(options.sigma, str):
            # One value everywhere: no noise that could be estimated or removed.
            options = replace(options, strength=0.0)
        flat = (*image.shape[:2], 1, -1)
        images = image.reshape(flat)
        job = self.prepare_stack(
            images,
            layout,
            options,
            level=shared_level(scale, layout, options),
            shape=image.shape,
            out=images if out is image else None if out is None else out.reshape(flat),
        )
        notes = *scale.notes(layout.dtype, layout.result), *describe_law(scale, options)
        return replace(job, notes=(*job.notes, *notes))

    def layout_for(self, image: Array, options: DenoiseOptions | None = None) -> Layout:
        """Return the layout of `image`, with the black and white that the model is shown.

        Parameters
        ----------
        image, options
            As for `denoise`.
        """
        options = options or self.options
        layout = read_layout(image, options.range, holes=True)
        return layout.on_scale(self.find_scale([image], options, layouts=[layout]), options.dtype)

    def find_scale(
        self,
        images: Sequence[Array],
        options: DenoiseOptions | None = None,
        *,
        profile: bool = False,
        layouts: Sequence[Layout] | None = None,
    ) -> Scale:
        """Return the values that stand for black and white in images that share one scale.

        `range` of the options decides where it is given, and 8 bits are used as they are. A model
        that learned one level of noise, or from noisy images, expects the scale of its training,
        which its card names, or else the nominal range (`find_range`). For any other model, black
        and white are estimated (`estimate_range`).

        Parameters
        ----------
        images
            Arrays (H, W) or (H, W, channels) of one type, such as the pages of a stack.
        options
            How the images are treated; None takes the options of the denoiser.
        profile
            Whether a colour profile defines the values: their nominal range is used then.
        layouts
            What `read_layout` returned for each; None reads them.

        Returns
        -------
        scale
            Its black equals its white if all values are equal and the scale is estimated.
        """
        options = options or self.options
        known = FIXED_SCALES.get(str(getattr(images[0], "dtype", "")))  # no value is examined
        if options.range is not None:
            known = check_range(options.range)
        if known is not None:
            scale = Scale(*known, known[1] - known[0], known[0])
            if profile and options.law == "auto":
                return scale
        else:
            layouts = layouts or [read_layout(image, holes=True) for image in images]
            low = min(layout.range[0] for layout in layouts)
            high = max(layout.range[1] for layout in layouts)
            scale = Scale(low, high, high - low, low)
            card, alpha = self.card, layouts[0].alpha
            if profile or not (card.scale_free or card.training_range):
                return scale
            arrays = [with_channels(image) for image in images]
            if not card.scale_free and card.training_range:
                return follow_training(scale, card.training_range, arrays, alpha=alpha)
            black, white = estimate_range(arrays, alpha=alpha) or (low, low)
            scale = replace(scale, black=black, white=white)
        # The card last: that of a model that is not open is read from its file, which takes 2.4 ms.
        if scale.black == scale.white or not may_have_photons(images[0], options):
            return scale
        if not self.card.scale_free or not may_grow(images, options, scale):
            return scale
        from quietpixel.inference.photon_law import find_photons  # laws take 10 ms of a start

        return replace(scale, photons=find_photons(images, options, scale))

    def show(self, image: Array) -> tuple[FloatArray, float]:
        """Return what a model that obeys a level is shown of an image, and the level it is given.

        As `prepare` decides it, so that training from noisy images can do the same: photon noise is
        made equally strong, other noise is estimated.

        Parameters
        ----------
        image
            Finite values, (H, W, 1) or (H, W, 3), not all equal.

        Returns
        -------
        shown, level
            (H, W, C), black and white at 0 and 1, and the level on this scale.
        """
        layout = read_layout(image)
        scale = self.find_scale([image], layouts=[layout])
        layout = layout.on_scale(scale)
        if scale.photons is None:
            return layout.to_model(image), estimate_level(layout, image)
        options = stable_options(self.options, layout, scale.photons, takes_level=True)
        stable = np.asarray(stabilise(image, layout, scale.photons))
        return read_layout(stable, options.range).to_model(stable), float(options.sigma)

    def prepare_stack(
        self,
        images: Array,
        layout: Layout,
        options: DenoiseOptions,
        *,
        level: NoiseLevel | None = None,
        tiles: Iterable[Tile] | None = None,
        origin: tuple[int, int] = (0, 0),
        shape: tuple[int, ...] | None = None,
        out: Array | None = None,
    ) -> DenoiseJob:
        """Return the job for images of one size, or for a part of a larger image.

        Parameters
        ----------
        images
            (H, W, N, channels), checked before; what is masked is not used or changed.
        layout
            How the images, or the whole image, represent their values.
        options
            How the images are treated.
        level
            The level of the whole image; None finds that of `images`.
        tiles
            How `images` are cut; None decides it.
        origin
            (row, column) of `images` in the whole image.
        shape
            Shape of the result; None takes that of `images`.
        out
            Where the result is put, of the shape of `images`.
        """
        layout, notes = replace(layout, colours=layout.model_colours), []
        if layout.colours == 1 and options.colour_strength is not None:
            options = replace(options, colour_strength=None)
            notes.append("The image is gray, so the colour strength has no effect.")
        card, values, whole = self.card, np.asarray(images), tiles is None
        factors = level_factors(options.strength, options.colour_strength)
        seen, hidden = fill_holes(images, layout) if factors else (values, None)
        repair = None
        if whole and factors and images.shape[2] == 1 and card.takes_level:
            repair = find_repair(seen[:, :, 0], layout)
            notes += repair.notes if repair else ()
        if level is None:
            level = find_level(seen, layout, options, card, repair, hidden=hidden, whole=whole)
        engine = self.engine  # late, because it may still be opening
        if tiles is None:
            margin = (repair.halo if repair else 0) + (level.reach if level else 0)
            pixels = max(self._tile_pixels(engine) // images.shape[2], 1)
            tiles = choose_grid(card, images.shape[:2], pixels, margin=margin).tiles()
        return DenoiseJob(
            images=values, seen=seen, hidden=hidden, shape=shape or images.shape,
            mask=np.ma.getmaskarray(images) if np.ma.isMaskedArray(images) else None,
            layout=layout, engine=engine, options=options, factors=factors, tiles=tuple(tiles),
            level=level, repair=repair, origin=origin, notes=tuple(notes),
            out=values if out is images else out,
        )  # fmt: skip

    def batch(
        self,
        images: Array,
        *,
        sigma: Sigma | None = None,
        strength: float | None = None,
        colour_strength: float | None = None,
        range: Range | None = None,
    ) -> Array:
        """Return images of one size without their noise, in the same type and shape.

        Parameters
        ----------
        images
            bool, integers or floats, (N, H, W, 1) or (N, H, W, 3).
        sigma, strength, colour_strength
            As for one image; the noise of each is measured as if it were alone.
        range
            As for one image, the same for all. Where it is neither given nor estimated, floats are
            taken as [0, 1] and integers of 8 and 16 bits as the full scale of their type. A noise
            level of 1 stands for that too.
        """
        check_batch(images)
        options = self.options.changed(
            sigma=sigma, strength=strength, colour_strength=colour_strength, range=range
        )
        output = np.dtype(options.dtype) if options.dtype else None
        white = type_ceiling(images.dtype) if images.dtype.name in ("uint8", "uint16") else 1.0
        scale, own = Scale(0.0, white, white), options.law == "auto"  # each has a law of its own
        if images.dtype.kind in "ui" and white == 1:  # signed, or too wide for a full scale
            scale = self.find_scale(list(images), options, profile=True)
        if options.range is not None or self.card.scale_free or self.card.training_range:
            found = self.find_scale(list(images), replace(options, law="none") if own else options)
            if options.range is not None:
                scale = found
            elif found.black < found.white:
                scale = replace(found, unit=scale.unit)
        alone = replace(options, range=scale.range)
        laws = [self.find_scale([x], alone).photons if own else scale.photons for x in images]
        layouts = [read_layout(image, scale.range, holes=True) for image in images]
        layouts = [replace(each, unit=scale.unit, output=output) for each in layouts]
        result = np.empty(images.shape, layouts[0].result)
        for n, law in enumerate(laws):
            if law is not None:
                job = self.prepare(images[n], options, scale=replace(scale, photons=law))
                result[n] = run(job).image
        for layout in dict.fromkeys(layouts):  # colour, and gray that is stored three times
            alike = [n for n, each in enumerate(layouts) if each == layout and laws[n] is None]
            most = self._tile_pixels(self.engine)
            step = max(most // (images.shape[1] * images.shape[2]), 1)
            for start in np.arange(0, len(alike), step):
                some = alike[start : start + step]
                job = self.prepare_stack(np.moveaxis(images[some], 0, 2), layout, options)
                result[some] = np.moveaxis(np.asarray(run(job).image), 2, 0)
        return with_mask(result, images)

    def estimate_sigma(self, image: Array, *, range: Range | None = None) -> float:
        """Return the noise level of `image` on the [0, 1] scale, as ``sigma="auto"`` finds it."""
        options = replace(self.options, range=range or self.options.range)
        layout = self.layout_for(image, options)
        layout = replace(layout, colours=layout.model_colours)
        return estimate_level(layout, with_channels(image)) / layout.level_factor

    def _tile_pixels(self, engine: Engine) -> int:
        """Return how many pixels a tile may have."""
        return max(self.memory // bytes_per_pixel(engine.card, engine.precision), 1)
