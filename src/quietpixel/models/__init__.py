"""The autoencoders, built in Keras and registered by name."""

from quietpixel.models.registry import MODELS, build

__all__ = ["MODELS", "build"]
