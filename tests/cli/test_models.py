import json
from dataclasses import replace

import pytest

from quietpixel.card import Card
from quietpixel.cli.models import _row, describe_card
from quietpixel.inference import model_store


@pytest.fixture
def card() -> Card:
    return Card(name="small", architecture="bottleneck", channels=1, size=(28, 26))


def test_the_bundled_models_are_one_table(quietpixel, halver, monkeypatch) -> None:
    monkeypatch.setattr(model_store, "BUNDLED", halver.parent)
    outcome = quietpixel("models")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "name    images          noise         weights",
        "halver  gray, any size  gaussian:0.1        1",
        "",
        "'quietpixel models NAME' shows the card of a model.",
    ]


def test_the_table_names_each_kind_of_noise_once() -> None:
    mixture = "7*gaussian:0..0.3,clip=no|2*photo:0..0.05|photo:0.01..0.2"
    card = Card(name="mixed", architecture="unet", channels=3, size=None, noise=mixture)
    assert _row(("mixed", card))[2] == "gaussian, photo"


def test_cards_are_json_too(quietpixel, halver, monkeypatch) -> None:
    monkeypatch.setattr(model_store, "BUNDLED", halver.parent)
    (card,) = json.loads(quietpixel("models", "--json").out)
    assert (card["name"], card["noise"], card["scores"]["mnist"]["mse"]) == (
        "halver", "gaussian:0.1", 0.0124,
    )  # fmt: skip
    assert json.loads(quietpixel("models", halver, "--json").out) == card | {"name": str(halver)}


def test_a_model_that_is_none_gets_a_suggestion(quietpixel) -> None:
    outcome = quietpixel("models", "phto")
    assert outcome.code == 2
    assert "Unknown model 'phto': did you mean 'photo'?" in outcome.err


def test_a_name_shows_its_card(quietpixel, halver, monkeypatch) -> None:
    monkeypatch.setattr(model_store, "BUNDLED", halver.parent)
    outcome = quietpixel("models", "halver")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "halver",
        "  layers      halver",
        "  images      gray, any size",
        "  noise       gaussian:0.1",
        "  weights     1",
        "  cost        1 multiply-adds per pixel",
        "  scores      mnist: mse 0.0124",
        "  trained on  nothing",
        "  licence     MIT",
        "  not for     anything but tests",
    ]


def test_without_models_the_way_to_one_is_said(quietpixel, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(model_store, "BUNDLED", tmp_path / "empty")
    assert "quietpixel train" in quietpixel("models").out


def test_numbers_have_no_more_digits_than_say_something(card) -> None:
    scores = {"mnist": {"mse": 0.013292350321590169, "mse_interval": [0.0131624, 0.0134184]}}
    text = describe_card("small", replace(card, scores=scores))
    assert "mse 0.01329, mse_interval 0.01316 to 0.01342" in text


def test_a_score_in_decibels_is_not_shown_as_the_loss_that_it_was(card) -> None:
    text = describe_card("small", replace(card, scores={"validation": {"negative_psnr": -33.394}}))
    assert "validation: psnr 33.39" in text


def test_what_a_card_does_not_say_is_skipped(card) -> None:
    assert describe_card("small", card).splitlines() == [
        "small",
        "  layers      bottleneck",
        "  images      gray, 26 x 28 pixels only",
        "  noise       that of the images it was trained on",
    ]


def test_a_model_for_any_colour_image(card) -> None:
    assert "colour and gray, any size" in describe_card(
        "small", replace(card, size=None, channels=3)
    )
