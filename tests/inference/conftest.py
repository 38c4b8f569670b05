"""The tiny models, as fixtures."""

from ..tiny_models import models, no_models_of_the_user

__all__ = ["models", "no_models_of_the_user"]
