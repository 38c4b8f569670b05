"""The plan, the look before work, the ledger, and the pipeline that reads, computes and writes."""

import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from quietpixel.batch import pipeline
from quietpixel.batch.denoise import Settings, compare_pictures
from quietpixel.batch.ledger import Ledger, fingerprint
from quietpixel.batch.lock import NAME, lock_folders
from quietpixel.batch.pipeline import MemoryBudget, run_jobs
from quietpixel.batch.plan import make_plan, preflight_jobs
from quietpixel.errors import ArgumentError, FileError
from quietpixel.files import Job, Picture, read_picture, write_picture
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.options import DenoiseOptions

from ..waiting import PATIENCE, wait_until

SIDE = 20


def put(path: Path, value: int = 100, side: int = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture.from_pixels(np.full((side, side), value, np.uint8)), path, overwrite=True)
    return path


@pytest.fixture
def blur(models):
    return Denoiser(models["blur"])


# The plan.


def test_each_input_folder_keeps_a_ledger_of_its_own(tmp_path):
    put(tmp_path / "a" / "x.png")
    put(tmp_path / "b" / "y.png")
    plan = make_plan([tmp_path / "a", tmp_path / "b"])
    assert plan.folders == (tmp_path / "a", tmp_path / "b")
    together = make_plan([tmp_path / "a", tmp_path / "b"], f"{tmp_path}/out/")
    assert together.folders == (tmp_path / "out",)
    assert make_plan([tmp_path / "a" / "x.png"]).folders == ()


def test_two_names_of_one_folder_are_one_folder(tmp_path, monkeypatch):
    put(tmp_path / "in" / "x.png")
    monkeypatch.chdir(tmp_path)
    names = [Path("in"), tmp_path / "in"]
    if os.name != "nt":
        (tmp_path / "link").symlink_to("in")
        names.append(Path("link"))
    plan = make_plan(names, in_place=True)
    assert plan.jobs == (Job(Path("in/x.png"), Path("in/x.png")),)
    waiting = []

    def refuse(sentence):
        waiting.append(sentence)
        raise RuntimeError("It waits for itself.")

    with lock_folders(plan.folders, notify=refuse):
        assert not waiting


def test_named_results_of_other_inputs_are_left_out(tmp_path):
    plan = make_plan([Path("x.png"), Path("x-clean.png")])
    assert [job.source.name for job in plan.jobs] == ["x.png"]
    assert plan.skipped == ((Path("x-clean.png"), "it is the result of another input"),)


def test_a_result_in_the_place_of_another_input_is_refused(tmp_path):
    put(tmp_path / "x.png")
    named = put(tmp_path / "x-clean.png")
    collisions = make_plan([tmp_path, named]).collisions
    assert [job.source.name for job in collisions] == ["x.png"]
    assert re.search(r"would take the place of another input, '.*x-clean", *collisions.values())


def test_in_place_goes_with_no_other_place():
    with pytest.raises(ArgumentError, match="`in_place` replaces the inputs; omit `output`"):
        make_plan([Path("x.png")], "out", in_place=True)


def test_in_place_leaves_links_alone(tmp_path):
    put(tmp_path / "x.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "x.png")
    plan = make_plan([tmp_path], in_place=True)
    assert [job.source.name for job in plan.jobs] == ["x.png"]
    reason = "it is a link, and its file stays in place; name that file instead"
    assert plan.skipped == ((tmp_path / "link.png", reason),)


# The look before work.


def test_the_survey_says_what_would_become_of_each(tmp_path):
    good, there, bad = (put(tmp_path / name) for name in ("good.png", "there.png", "bad.png"))
    bad.write_bytes(b"words")
    put(tmp_path / "there-clean.png")
    sources = [good, there, bad, tmp_path / "gone.png", tmp_path]
    jobs = [Job(path, tmp_path / f"{path.stem}-clean.png") for path in sources]
    found = preflight_jobs(jobs)
    assert [each.state for each in found] == ["write", "refuse", "refuse", "refuse", "refuse"]
    reasons = ["", "already exists", "is not an image of", "No such file", "it is a folder"]
    assert all(reason in each.reason for reason, each in zip(reasons, found, strict=True))
    assert preflight_jobs(jobs, Settings(overwrite=True))[1].state == "write"


def test_the_survey_looks_at_the_place_of_results(tmp_path):
    source = put(tmp_path / "x.png")
    (found,) = preflight_jobs([Job(source, source / "below" / "x.png")])
    assert "cannot be made: " in found.reason
    (found,) = preflight_jobs([Job(source, tmp_path / "new" / "deep" / "x.png")])
    assert found.state == "write"
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="may write everywhere")
def test_the_survey_sees_folders_that_are_read_only(tmp_path):
    source = put(tmp_path / "x.png")
    (tmp_path / "shut").mkdir(mode=0o500)
    (found,) = preflight_jobs([Job(source, tmp_path / "shut" / "x.png")])
    assert "cannot be written to: that is not allowed." in found.reason


def test_a_source_that_another_run_replaced_meanwhile_is_left_alone(blur, tmp_path):
    jobs = [Job(put(tmp_path / "in" / name), tmp_path / name) for name in ("a.png", "b.png")]
    settings, ledger = Settings(), Ledger([tmp_path], "x")
    assert {found.state for found in preflight_jobs(jobs, settings, ledger=ledger)} == {"write"}
    in_place = Job(jobs[0].source, jobs[0].source)
    (done,) = run_jobs(blur, [in_place], Settings(overwrite=True), ledger=Ledger([], "y"))
    assert not done.error
    first, second = run_jobs(blur, jobs, settings, ledger=ledger)
    assert "is a result of quietpixel; give `again` to denoise it once more." in first.error
    assert not second.error
    assert [job.target.exists() for job in jobs] == [False, True]
    (again,) = run_jobs(blur, jobs[:1], Settings(again=True), ledger=ledger)
    assert not again.error


# The ledger.


def test_what_is_done_is_known_by_its_own_folder(tmp_path):
    jobs = [Job(put(tmp_path / name / "x.png"), tmp_path / name / "x-clean.png") for name in "ab"]
    ledger = Ledger([tmp_path / "a", tmp_path / "b"], "settings")
    for job in jobs:
        ledger.begin(job)
        put(job.target)
    for name, job in zip("ab", jobs, strict=True):
        again = Ledger([tmp_path / name], "settings")
        assert again.is_done(job)
        assert not Ledger([tmp_path / name], "others").is_done(job)
    assert not Ledger([tmp_path / "a"], "settings").is_done(jobs[1])
    assert preflight_jobs(jobs, ledger=ledger)[0].state == "done"


def test_a_changed_input_is_not_done(tmp_path):
    job = Job(put(tmp_path / "x.png"), tmp_path / "x-clean.png")
    ledger = Ledger([tmp_path], "settings")
    ledger.begin(job)
    put(job.target)
    assert ledger.is_done(job)
    put(job.source, 7, side=SIDE + 1)
    assert not ledger.is_done(job)


def test_a_torn_ledger_is_read_as_far_as_it_goes(tmp_path):
    job = Job(put(tmp_path / "x.png"), tmp_path / "x-clean.png")
    Ledger([tmp_path], "settings").begin(job)
    put(job.target)
    with (tmp_path / ".quietpixel-done.jsonl").open("ab") as file:
        file.write(b'\n{"target": "cut sh')
    assert Ledger([tmp_path], "settings").is_done(job)


def test_fingerprints_tell_models_options_and_maps_apart(models):
    base = np.zeros((200, 200), np.float32)
    other = base.copy()
    other[100, 100] = 1e-6

    def of(name, sigma):
        return fingerprint(DenoiseOptions(model=str(models[name]), sigma=sigma))

    pairs = [("blur", 0.1), ("blur", 0.2), ("blur", base), ("blur", other), ("adder", base)]
    texts = [of(*pair) for pair in pairs]
    assert len(set(texts)) == 5
    assert texts[2] == of("blur", base.copy())


# The pipeline.


def test_jobs_come_back_in_order_with_their_times(tmp_path, blur):
    jobs = [Job(put(tmp_path / f"{i}.png", i), tmp_path / "out" / f"{i}.png") for i in range(9)]
    outcomes = list(run_jobs(blur, jobs, Settings()))
    assert [each.job for each in outcomes] == jobs
    for number, each in enumerate(outcomes):
        assert each.error == ""
        assert each.megapixels == SIDE * SIDE / 1e6
        assert min(each.read_seconds, each.compute_seconds, each.write_seconds) > 0
        assert each.seconds == each.read_seconds + each.compute_seconds + each.write_seconds
        middle = read_picture(each.job.target).pages[0][SIDE // 2, SIDE // 2, 0]
        assert abs(int(middle) - number) <= 1


def test_small_images_are_prepared_while_another_is_computed(tmp_path, models, blur):
    jobs = [Job(put(tmp_path / f"{i}.png", i), tmp_path / "out" / f"{i}.png") for i in range(4)]
    both = threading.Barrier(2)

    class Meeting(Denoiser):
        def prepare(self, *arguments, **options):
            both.wait(timeout=PATIENCE)  # broken where one image waits for the other
            return super().prepare(*arguments, **options)

    outcomes = list(run_jobs(Meeting(models["blur"]), jobs, Settings()))
    assert [each.error for each in outcomes] == [""] * 4
    for number, job in enumerate(jobs):
        alone = blur(np.full((SIDE, SIDE), number, np.uint8))
        np.testing.assert_array_equal(read_picture(job.target).pages[0][..., 0], alone)


def test_a_bad_job_between_good_ones_has_its_reason(tmp_path, blur):
    names = ["a.png", "b.png", "c.png"]
    jobs = [Job(put(tmp_path / name), tmp_path / f"new-{name}") for name in names]
    jobs[1].source.write_bytes(jobs[1].source.read_bytes()[:60])
    outcomes = list(run_jobs(blur, jobs, Settings()))
    assert [bool(each.error) for each in outcomes] == [False, True, False]
    assert "b.png' cannot be read: the file is damaged or cut short" in outcomes[1].error
    assert not jobs[1].target.exists()


def test_no_more_than_three_pictures_are_in_memory(tmp_path, blur, monkeypatch):
    most = watch_pictures(monkeypatch)
    jobs = [Job(put(tmp_path / f"{i}.png", i), tmp_path / "out" / f"{i}.png") for i in range(12)]
    assert len(list(run_jobs(blur, jobs, Settings()))) == 12
    assert 1 <= max(most) <= pipeline.IN_FLIGHT


def test_pictures_larger_than_the_memory_come_one_by_one(tmp_path, models, monkeypatch):
    most = watch_pictures(monkeypatch)
    small = Denoiser(models["blur"], memory=3 * SIDE * SIDE)  # a picture and its result, not two
    jobs = [Job(put(tmp_path / f"{i}.png", i), tmp_path / "out" / f"{i}.png") for i in range(12)]
    outcomes = list(run_jobs(small, jobs, Settings()))
    assert [each.error for each in outcomes] == [""] * 12
    assert max(most) == 1


def watch_pictures(monkeypatch) -> list[int]:
    """Return a list that gets the number of pictures in work each time one was read."""
    counts, lock, now = [], threading.Lock(), [0]
    read, write = pipeline.read_picture, pipeline.write_result

    def counted_read(*args, **options):
        picture = read(*args, **options)
        with lock:
            now[0] += 1
            counts.append(now[0])
        return picture

    def counted_write(*args, **options):
        time.sleep(0.01)  # let the reader run ahead as far as it may
        with lock:
            now[0] -= 1
        return write(*args, **options)

    monkeypatch.setattr(pipeline, "read_picture", counted_read)
    monkeypatch.setattr(pipeline, "write_result", counted_write)
    return counts


def test_leaving_early_stops_the_threads(tmp_path, blur):
    before = set(threading.enumerate())
    jobs = [Job(put(tmp_path / f"{i}.png", i), tmp_path / "out" / f"{i}.png") for i in range(30)]
    outcomes = run_jobs(blur, jobs, Settings())
    next(outcomes)
    outcomes.close()
    wait_until(lambda: before.issuperset(threading.enumerate()))
    assert len(list((tmp_path / "out").iterdir())) < 30


def test_a_mistake_of_ours_is_not_swallowed(tmp_path, blur, monkeypatch):
    def fail(*args, **options):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(pipeline, "denoise_picture", fail)
    with pytest.raises(ZeroDivisionError, match="ours"):
        list(run_jobs(blur, [Job(put(tmp_path / "x.png"), tmp_path / "y.png")], Settings()))


def test_too_little_memory_is_a_sentence(tmp_path, blur, monkeypatch):
    def fail(*args, **options):
        raise MemoryError

    monkeypatch.setattr(pipeline, "denoise_picture", fail)
    job = Job(put(tmp_path / "x.png"), tmp_path / "y.png")
    (outcome,) = run_jobs(blur, [job], Settings())
    assert outcome.error == f"'{job.source}': there is not enough memory for it."


def test_progress_of_a_picture_is_reported(tmp_path, models):
    small = Denoiser(models["blur"], memory=200 * 1024)
    shares = []
    job = Job(put(tmp_path / "x.png", side=60), tmp_path / "y.png")
    list(run_jobs(small, [job], Settings(), on_progress=shares.append))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(shares) > 5


# The memory budget.


def test_room_is_waited_for():
    budget, taken = MemoryBudget(100), threading.Event()
    assert budget.take(80)
    thread = threading.Thread(target=lambda: budget.take(30) and taken.set(), daemon=True)
    thread.start()
    assert not taken.wait(0.05)
    budget.give(80)
    assert taken.wait(PATIENCE)


def test_closed_room_lets_nobody_in():
    budget, answers = MemoryBudget(100), []
    budget.take(100)
    thread = threading.Thread(target=lambda: answers.append(budget.take(1)), daemon=True)
    thread.start()
    budget.close()
    thread.join(PATIENCE)
    assert answers == [False]


# Before, after and the difference.


@pytest.mark.parametrize("shape", [(9, 5), (600, 7, 3), (9, 5, 4), (9, 5, 2)])
def test_a_comparison_shows_three_parts(shape):
    rng = np.random.default_rng(0)
    before = rng.integers(0, 256, shape, np.uint8)
    after = before // 2
    shown, note = compare_pictures(
        Picture.from_pixels(before), Picture.from_pixels(after), Path("seen.png")
    )
    colours = 3 if shape[-1] in (3, 4) else 1
    height, width = shape[:2]
    assert shown.pages[0].shape == (height, 3 * width + 16, colours)
    page = shown.pages[0]
    first = before.reshape(height, width, -1)[..., :colours]
    assert np.array_equal(page[:, :width], first)
    assert np.array_equal(page[:, width + 8 : 2 * width + 8], first // 2)
    assert note == "'seen.png' shows before, after, and what was removed."


def test_a_weak_difference_is_amplified():
    before = np.full((8, 8), 100, np.uint8)
    after = before.copy()
    after[::2] += 1
    shown, note = compare_pictures(
        Picture.from_pixels(before), Picture.from_pixels(after), Path("seen.png")
    )
    gain = int(note.split()[-4])
    assert gain == 100
    assert shown.pages[0][0, -1, 0] == round(255 * (0.5 - gain / 255))


def test_a_folder_of_results_that_cannot_be_made_is_said(tmp_path, blur):
    source = put(tmp_path / "x.png")
    (outcome,) = run_jobs(blur, [Job(source, source / "y.png")], Settings())
    assert "a part of the path is not a folder" in outcome.error
    with pytest.raises(FileError, match="cannot be written"):
        Ledger([source], "settings").begin(Job(source, source / "y.png"))


def test_a_run_that_begins_below_at_the_same_moment_is_seen(tmp_path, monkeypatch) -> None:
    """Its lock is taken between this run's own lock and its look at those below."""
    (inner := tmp_path / "below").mkdir()
    other, acquire, said = FileLock(inner / NAME), FileLock.acquire, []

    def begin_both(lock, **options):
        held = acquire(lock, **options)
        if not said and not other.is_locked:
            acquire(other)
        return held

    monkeypatch.setattr(FileLock, "acquire", begin_both)
    with lock_folders(
        [tmp_path], [inner], notify=lambda text: (said.append(text), other.release())
    ):
        assert len(said) == 1
        assert str(inner) in said[0]
