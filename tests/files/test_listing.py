"""Listing folders: order, links, hidden files; and where results go."""

from pathlib import Path

import pytest

from quietpixel.cluster.storage import Place
from quietpixel.errors import ArgumentError, FileError
from quietpixel.files import find_collisions, list_images, plan_jobs


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "photos"
    (top / "deep" / "er").mkdir(parents=True)
    names = ("b.jpg", "a.PNG", "notes.txt", ".hidden.png", "deep/c.tif", "deep/er/d.webp")
    for name in (*names, ".quietpixel-0123456789abcdef.part"):
        (top / name).write_bytes(b"")
    return top


def names(listing, folder):
    return [path.relative_to(folder).as_posix() for path in listing.images]


def test_pictures_are_listed_in_order(folder):
    assert names(list_images(folder), folder) == ["a.PNG", "b.jpg"]
    everything = ["a.PNG", "b.jpg", "deep/c.tif", "deep/er/d.webp"]
    assert names(list_images(folder, recursive=True), folder) == everything


def test_links_that_leave_or_loop_are_not_followed(folder, tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(b"")
    (folder / "out.png").symlink_to(outside)
    (folder / "in.png").symlink_to(folder / "b.jpg")
    (folder / "dead.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "deep" / "up").symlink_to(folder)
    listing = list_images(folder, recursive=True)
    assert names(listing, folder) == ["a.PNG", "b.jpg", "deep/c.tif", "deep/er/d.webp", "in.png"]
    assert {path.name: reason for path, reason in listing.skipped} == {
        "out.png": "the link leaves the folder",
        "dead.png": "the link leads nowhere or in a loop",
        "loop.png": "the link leads nowhere or in a loop",
        "up": "links to folders are not followed",
    }


def test_a_folder_named_like_a_picture_is_no_picture(folder):
    (folder / "album.jpg").mkdir()
    assert names(list_images(folder), folder) == ["a.PNG", "b.jpg"]


def test_no_folder(tmp_path):
    with pytest.raises(FileError, match="is not a folder"):
        list_images(tmp_path / "missing")


def test_results_keep_the_tree(folder):
    sources = list_images(folder, recursive=True).images
    jobs = plan_jobs(sources, root=folder, output=Path("out"), suffix="")
    targets = ["out/a.PNG", "out/b.jpg", "out/deep/c.tif", "out/deep/er/d.webp"]
    assert [job.target.as_posix() for job in jobs] == targets
    jobs = plan_jobs(sources, format="jpeg")
    assert [job.target.name for job in jobs] == [
        "a-clean.jpg", "b-clean.jpg", "c-clean.jpg", "d-clean.jpg",
    ]  # fmt: skip


def test_results_of_an_earlier_run_are_no_sources(folder):
    (folder / "b-clean.jpg").write_bytes(b"")
    jobs = plan_jobs(list_images(folder).images)
    assert [job.source.name for job in jobs] == ["a.PNG", "b.jpg"]


def test_collisions_are_found_before_any_work():
    found = find_collisions(plan_jobs([Path("a.png"), Path("a.jpg"), Path("b.jpg")], format="png"))
    assert [job.source.name for job in found] == ["a.png", "a.jpg"]
    same = "would be written to the same file, 'a-clean.png'; rename all but one"
    assert next(iter(found.values())).startswith(f"'a.png' and 'a.jpg' {same}")
    sources = [Path(f"{folder}/a.png") for folder in "vwxyz"]
    found = find_collisions(plan_jobs(sources, output=Path("out")))
    assert len(found) == 5
    assert all(f"{path}'" in "".join(found.values()) for path in sources)
    assert "'z/a.png' and 'v/a.png', 'w/a.png', 'x/a.png' and 1 more would" in [*found.values()][-1]


def test_the_same_source_twice_is_one_job():
    assert len(plan_jobs([Path("a.png"), Path("a.png")])) == 1


@pytest.mark.parametrize("recursive", [False, True])
def test_a_zarr_in_a_folder_is_named_and_not_searched(tmp_path, recursive) -> None:
    (tmp_path / "a.zarr" / "c").mkdir(parents=True)
    (tmp_path / "a.zarr" / "zarr.json").touch()
    (tmp_path / "a.zarr" / "c" / "0.png").touch()
    found = list_images(tmp_path, recursive=recursive)
    assert found.images == ()
    assert [(file.path.name, file.is_image) for file in found.unread] == [("a.zarr", True)]


def test_results_end_as_their_sources() -> None:
    jobs = plan_jobs([Path("a.1.OME.tif"), Path("b.1.tif"), Path(".ome.tif")])
    names = ["a.1-clean.OME.tif", "b.1-clean.tif", ".ome-clean.tif"]
    assert [job.target.name for job in jobs] == names
    places = Place("s3://b/a.1.ome.zarr"), Place("b.1.zarr")
    names = ["s3://b/a.1-clean.ome.zarr", "b.1-clean.zarr"]
    assert [place.beside("-clean").name for place in places] == names


def test_a_suffix_cannot_lead_elsewhere():
    with pytest.raises(ArgumentError, match="without '/'"):
        plan_jobs([Path("a.png")], suffix="/../../x")
