"""From the words that a user gives to the recipe of the run, and the model that it begins with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from quietpixel.api.starting import adopt, default_start, open_start
from quietpixel.training.material import is_folder
from quietpixel.training.recipe import Recipe, named_recipe
from quietpixel.training.start import NOTHING, Start

CODE = 16
"""Numbers in the code of a bottleneck where nothing is said."""


def choose_recipe(
    name: str,
    *,
    data: str,
    model: str | None,
    code: int | None,
    start: str | Path | None,
    changes: Mapping[str, Any],
) -> tuple[Recipe, Start | None]:
    """Return the recipe that the user's words make, and the model whose weights it begins with.

    Parameters
    ----------
    name
        Of the recipe.
    data, model, code, start
        As for `quietpixel.train`.
    changes
        Other fields of the recipe; ``None`` changes nothing.

    Raises
    ------
    QuietpixelError
        If a word is not known or breaks its rule.
    """
    begun = None if start is None else open_start(start)
    wanted = {key: value for key, value in {"model": model, **changes}.items() if value is not None}
    if begun is not None:
        wanted = {**adopt(begun), **wanted}
    recipe = named_recipe(name, data=data, **wanted)
    if recipe.model == "bottleneck":
        recipe = replace(recipe, options=_with_code(recipe.options, code))
    if start is None and is_folder(data):
        begun = default_start(recipe)
    return replace(recipe, start=NOTHING if begun is None else begun.name), begun


def reopen_start(recipe: Recipe) -> Start | None:
    """Return the model that a run to go on with began with."""
    return open_start(recipe.start)


def _with_code(options: Mapping[str, Any], code: int | None) -> dict[str, Any]:
    return {"code": CODE, **options} if code is None else {**options, "code": code}
