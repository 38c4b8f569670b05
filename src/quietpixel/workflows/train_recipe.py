"""From the arguments of `train` to the recipe of the run and the model that it starts from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from quietpixel.data.image_folder import Layout, find_layout
from quietpixel.errors import ArgumentError, check_known
from quietpixel.models import model_options
from quietpixel.training.folder_data import (
    check_data,
    find_channels,
    find_side,
    is_folder,
    measure_folder,
)
from quietpixel.training.initial_weights import NOTHING, Start, adopt, default_start, open_start
from quietpixel.training.named_recipes import OF_SETS, RECIPES, named_recipe
from quietpixel.training.recipe import CHOICES, RENAMED, Recipe
from quietpixel.training.run_folder import RunFolder

OF_KIND = {"clean": "photo", "pairs": "pairs", "noisy": "noisy"}
"""The recipe for a folder, by the kind of images in it."""
STRIPES = {True: "h:12", False: "v:12"}
"""The structure for noise that the pixels of a row (or else of a column) share."""
GRAIN = "s:2"
"""The structure for noise that neighbouring pixels share."""
MEASURED = "neighbours"
"""The method that tells a model which obeys a noise level that of each noisy image."""
MEASURED_CHANGES = {"measured": True, "learning_rate": 1e-4, "averaging": 0.99}
"""What it changes in the recipe: only to fine-tune. At 3e-4, texture lost 0.3 dB in 100 steps."""
MEASURED_PATCH = 128
"""Its patches, if the images are as large, since their halves are what the model sees."""

Fields = dict[str, Any]


def choose_recipe(
    name: str | None,
    *,
    data: str,
    start: str | Path | None,
    fields: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Recipe, Start | None]:
    """Return the recipe for the arguments of `train`, and the model that the run starts from.

    Parameters
    ----------
    name
        Name of a recipe; None takes the one that suits the data.
    data, start
        As for `quietpixel.train`.
    fields
        Fields of the recipe; None stands for the value of the named recipe.
    options
        Single options of the model, such as ``filters``; None stands for the recipe's.

    Raises
    ------
    QuietpixelError
        If an argument is unknown or breaks its rule.
    """
    check_data(data)
    if name is not None:
        check_known("recipe", name, RECIPES)
        if (name in OF_SETS) == is_folder(data):
            kinds = ("a data set", "a folder of images")
            wanted, got = kinds if name in OF_SETS else reversed(kinds)
            raise ArgumentError(
                f"`recipe` {name} is for {wanted}, and '{data}' is {got}; name another, or omit it."
            )
    given = {key: value for key, value in fields.items() if value is not None}
    options = {key: value for key, value in options.items() if value is not None}
    if "masks" in given:
        given["masks"] = str(given["masks"])
    first = None if start is None else open_start(start)
    if is_folder(data):
        name, given, layout = _suit_folder(name, data, given)
        # Other layers than those of the recipe would not fit the bundled weights.
        if start is None and not {"model", "options"} & given.keys() and "filters" not in options:
            # Clean targets show the noise level; with neighbours as targets it is measured.
            known = given.get("method", "") in ("", MEASURED)
            first = default_start(given["channels"], takes_level=known)
        obeys = first is not None and first.card is not None and first.card.takes_level
        if given.get("method") == MEASURED and obeys and not {"model", "options"} & given.keys():
            wide = {"patch": MEASURED_PATCH} if find_side(layout) >= MEASURED_PATCH else {}
            given = MEASURED_CHANGES | wide | given
    else:
        for field in ("target", "pairs", "masks", "structure", "channels"):
            if given.get(field):
                raise ArgumentError(
                    f"`{field}` is for a folder of images, and '{data}' is not one; omit it, or "
                    "give the path of a folder."
                )
    # What the user gives wins over what the start model has.
    recipe = named_recipe(name or "tuned", data=data, **((adopt(first) if first else {}) | given))
    recipe = replace(recipe, options=_with_options(recipe, options))
    return replace(recipe, start=NOTHING if first is None else first.name), first


def resume_run(
    folder: RunFolder,
    name: str | None,
    *,
    data: str,
    start: str | Path | None,
    fields: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Recipe, Start | None]:
    """Return the recipe of a run to continue, and the model that it started from.

    Parameters
    ----------
    folder
        The run folder.
    name, data, start, fields, options
        As for `choose_recipe`; they may repeat the recipe, but not change it.

    Raises
    ------
    ArgumentError
        If one of them would change the recipe.
    TrainingError
        If the folder holds no run.
    """
    recipe = folder.read_recipe()
    # Options of the model are arguments of their own.
    before = {**asdict(recipe), **recipe.options, "recipe": recipe.name}
    given = {**fields, "data": data, "start": start, "recipe": name}
    given |= {**(given.pop("options", None) or {}), **options}
    for key, value in given.items():
        field = RENAMED.get(key, key)
        # The defaults of `data` and `seed`, and what stands for a measured law, change nothing.
        if value is None or (field, value) in (("data", "digits"), ("seed", 0), ("noise", "auto")):
            continue
        if _plain(before.get(field)) != _plain(value):
            raise ArgumentError(
                f"`{key}` cannot change when a run is continued: that in '{folder.path}' has "
                f"{_plain(before.get(field))}; got {_plain(value)}. Omit it, or start another run "
                "from its weights by `start`."
            )
    return recipe, open_start(recipe.start)


def _plain(value: Any) -> Any:
    """Return a value as it comes back from a recipe's JSON."""
    return json.loads(json.dumps(value, default=str))


def _suit_folder(name: str | None, data: str, given: Fields) -> tuple[str, Fields, Layout]:
    """Return the recipe for a folder, the fields that follow from its images, and its layout."""
    target, pairs = given.get("target", "clean"), given.get("pairs", "")
    check_known("target", target, CHOICES["target"])
    if "model" in given and "size" in model_options(given["model"]):
        raise ArgumentError(
            f"`model` {given['model']} takes images of one size only, and those of a folder have "
            "any size; omit it, or use unet."
        )
    # Files without a partner are reported when the folder is opened.
    layout = find_layout(Path(data), target=target, pairs=pairs, notify=lambda text: None)
    kind = layout.kind
    if "channels" not in given:
        given = given | {"channels": find_channels(layout)}
    if kind == "pairs":
        if given.get("noise"):
            raise ArgumentError(
                "`noise` is for clean images because it is added to them, and "
                f"'{data}' holds pairs; omit it, or give the folder of the clean images."
            )
        given |= {"method": "pairs", "noise": ""}
    if given.get("noise") == "auto":
        if kind != "noisy":
            raise ArgumentError(
                f"`noise` auto measures noisy images, and those in '{data}' are taken to be clean; "
                "measure the noise of noisy ones first, and give its law."
            )
        measured = measure_folder(layout, given["channels"])
        # A law describes white noise only; other noise is hidden by its structure.
        if measured.kind == "white":
            given = given | {"noise": str(measured.law)}
        else:
            rows = measured.stripes[0] >= measured.stripes[1]
            structure = STRIPES[rows] if measured.kind == "stripes" else GRAIN
            given = {"structure": structure} | given | {"noise": ""}
    if kind == "noisy":
        method = "recorrupted" if given.get("noise") else "neighbours"
        given = {"method": "hidden" if given.get("structure") else method, "noise": ""} | given
    elif given.get("structure"):
        raise ArgumentError(
            "`structure` is for noisy images alone because it says which pixels are hidden from "
            "the model; set `target` to 'none', or omit it."
        )
    # Against noisy targets, only the squared error is least at their mean, the clean value.
    if kind != "clean":
        given = {"loss": "mean_squared_error"} | given
    return name or OF_KIND[kind], given, layout


def describe_measured(recipe: Recipe) -> str:
    """Return what ``noise="auto"`` measured and what follows from it.

    Examples
    --------
    >>> describe_measured(named_recipe("noisy", method="hidden", structure="h:12"))
    'The noise was measured: rows share it, so h:12 is hidden'
    """
    if recipe.noise:
        return f"The noise was measured: {recipe.noise}"
    shared = {"h": "rows share it", "v": "columns share it", "s": "neighbours share it"}
    found = shared[recipe.structure[0]]
    return f"The noise was measured: {found}, so {recipe.structure} is hidden"


def _with_options(recipe: Recipe, given: Mapping[str, Any]) -> Fields:
    """Return the options of the recipe's model with those that were given one by one."""
    known = model_options(recipe.model)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"`{name}` is not an option of the model '{recipe.model}', which takes "
                f"{', '.join(known)}; omit it, or use another model."
            )
    options = dict(recipe.options) | dict(given)
    if "code" in known:  # recorded even where it is the default: cards say how long their code is
        options.setdefault("code", known["code"])
    # As many numbers as there are levels; the last one repeats.
    if "filters" in given and "blocks" in known and "blocks" not in given:
        blocks = tuple(options.get("blocks", known["blocks"]))
        levels = len(options["filters"])
        options["blocks"] = (blocks + blocks[-1:] * levels)[:levels]
    return options
