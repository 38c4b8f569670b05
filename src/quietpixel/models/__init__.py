"""The autoencoders, built in Keras and registered by name."""

from quietpixel.models.registry import MODELS, build, complete_options, model_options

__all__ = ["MODELS", "build", "complete_options", "model_options"]
