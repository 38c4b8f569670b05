"""The metadata of a release are consistent and name what exists."""

import importlib
import re
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_the_changelog_knows_this_version() -> None:
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_workflow_runs_commands_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for job in WORKFLOW["jobs"].values():
        for command in (step["run"] for step in job["steps"] if "run" in step):
            if command.startswith("make "):
                words = {word for word in command.split()[1:] if "=" not in word}
                assert words <= targets
            else:
                assert (ROOT / command).is_file()


def test_the_workflow_tests_every_python_that_is_promised() -> None:
    tested = WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={tested[0]}"


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    return importlib.import_module("release_tries")


def test_the_release_check_tries_the_base_and_every_extra(tries: ModuleType) -> None:
    assert set(tries.EXTRAS) == {"", *PROJECT["optional-dependencies"]} - {"gpu"}
    asked = WORKFLOW["jobs"]["release"]["strategy"]["matrix"]["python"]
    assert asked == WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert asked == [f"3.{minor}" for minor in range(tries.OLDEST, tries.NEWEST + 1)]


def test_what_an_extra_does_not_need_is_refused(tries: ModuleType) -> None:
    web = tries.EXTRAS["web"]
    tries.check_names({"numpy", *web.brings}, web, "web")
    with pytest.raises(AssertionError, match=r"'web' brought .'keras'., which it does not need"):
        tries.check_names({"keras", *web.brings}, web, "web")
    with pytest.raises(AssertionError, match=r"'web' did not bring .'onnx', 'uvicorn'"):
        tries.check_names({"fastapi", "starlette"}, web, "web")


def test_names_are_compared_however_a_package_spells_its_own(tries: ModuleType) -> None:
    tries.check_names({"pillow_heif"}, tries.EXTRAS["heif"], "heif")
    with pytest.raises(AssertionError, match=r"brought .'scikit-image'., which it does not need"):
        tries.check_names({"pillow_heif", "Scikit_Image"}, tries.EXTRAS["heif"], "heif")


def test_an_interpreter_that_is_not_here_is_named(
    tries: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tries, "runs", lambda python: python == "python3.12")
    assert list(tries.find_pythons([])) == ["python3.12"]
    printed = capsys.readouterr().out
    assert "python3.11 is not here, so NOT TRIED" in printed
    assert "python3.13 is not here, so NOT TRIED" in printed
    assert list(tries.find_pythons(["mine"])) == ["mine"]


def test_the_release_check_lists_what_the_wheel_holds(tries: ModuleType, tmp_path: Path) -> None:
    check = importlib.import_module("release_check")
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in ("quietpixel/weights/a.onnx", "quietpixel/weights/b.onnx", "quietpixel/x.py"):
            file.writestr(name, bytes(1500))
    lines = check.list_contents(wheel).splitlines()
    assert lines == ["| in some.whl | kB |", "|---|---|", "| quietpixel/weights | 3 |",
                     "| quietpixel/x.py | 2 |"]  # fmt: skip


def test_the_wheel_stays_small(tries: ModuleType) -> None:
    files = WheelBuilder(str(ROOT)).recurse_included_files()
    size = sum(Path(file.path).stat().st_size for file in files)
    assert size <= importlib.import_module("release_check").LARGEST  # even if nothing compresses


def test_the_notices_name_what_a_base_installation_brings() -> None:
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    rows = notices.split("## Packages of a base installation")[1].split("\n## ")[0]
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE))))
    found, waiting = set[str](), list(PROJECT["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name not in found and (
            requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ):
            found.add(requirement.name)
            waiting += requires(requirement.name) or []
    assert {"numpy", "cffi", "rich"} <= found
    assert {name.lower().replace("_", "-") for name in found} <= named
    assert "THIRD_PARTY_NOTICES.md" in PROJECT["license-files"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-release.lock"])
def test_locks_have_hashes_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links", text)
    assert text.count("--hash=sha256:") > text.count("==")


def test_the_wheel_holds_the_stubs_that_list_the_public_names() -> None:
    builder = WheelBuilder(str(ROOT))
    shipped = {file.distribution_path for file in builder.recurse_included_files()}
    stubs = {path.relative_to(ROOT / "src").as_posix() for path in ROOT.glob("src/**/*.pyi")}
    assert len(stubs) == 3
    assert stubs <= shipped
