"""The files around the package (hooks, workflows, forms, changelog, Makefile) agree with each other."""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from deluge_nb import APIResponse, Logprobs
from tests import newest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RULES = dict(re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# Hooks ----------------------------------------------------------------------------------------------------------------


def hooks() -> list[dict[str, Any]]:
    repositories = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"] * len(repositories)
    return [hook for repository in repositories for hook in repository["hooks"]]


def test_hooks_download_nothing() -> None:
    assert hooks()
    for hook in hooks():
        assert hook["language"] == "system"
        assert "additional_dependencies" not in hook


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_a_hook_runs_a_tool_of_the_development_environment(hook: dict[str, Any]) -> None:
    program, *arguments = shlex.split(hook["entry"])
    assert Path(program).parent.as_posix() == ".venv/bin"
    scripts = f"{sysconfig.get_path('scripts')}{os.pathsep}{Path(sys.executable).parent}"
    assert shutil.which(Path(program).name, path=scripts), program
    assert [word for word in arguments if word.endswith(".py") and not (ROOT / word).is_file()] == []


def test_hooks_check_the_files_and_the_message_of_a_commit() -> None:
    kinds = read_yaml(ROOT / ".pre-commit-config.yaml")["default_install_hook_types"]
    assert {stage for hook in hooks() for stage in hook.get("stages", ["pre-commit"])} == set(kinds)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("Sort the tests into folders\n\nThe body may have lines of any length. " + "x" * 200, ""),
        ("x" * 72, ""),
        ("x" * 73 + "\n", "The subject has 73 characters; at most 72 are allowed."),
        ("Sort the tests.\n", "The subject ends with a full stop"),
    ],
    ids=["good", "72", "73", "full stop"],
)
def test_a_subject_of_a_commit_is_short(tmp_path: Path, message: str, problem: str) -> None:
    path = tmp_path / "COMMIT_EDITMSG"
    path.write_text(message, encoding="utf-8")
    script = [sys.executable, str(ROOT / ".github" / "commit_subject.py"), str(path)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == bool(problem)
    assert problem in done.stderr
    assert bool(done.stderr) == bool(problem)


# Makefile and workflows -----------------------------------------------------------------------------------------------


def test_every_target_has_a_help_text() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(RULES)
    assert [target for target, rest in RULES.items() if not re.search(r"  ## \w", rest)] == []


def test_make_test_runs_every_part() -> None:
    parts = RULES["test"].partition("##")[0].split()
    # The browser tests build the documentation.
    assert {"lint", "types", "test-js", "test-python", "test-browser", "test-newest"} <= set(parts)


def jobs() -> list[Any]:
    return [
        pytest.param(job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in read_yaml(path)["jobs"].items()
    ]


def commands(job: dict[str, Any]) -> list[list[str]]:
    lines = [line for step in job["steps"] if "run" in step for line in step["run"].splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_read_permission_only_and_is_cancelled_when_outdated(path: Path) -> None:
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "github.ref" in workflow["concurrency"]["group"]


@pytest.mark.parametrize("job", jobs())
def test_a_job_has_a_limit_and_actions_of_a_major_version(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 60
    assert "permissions" not in job
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []


@pytest.mark.parametrize("job", jobs())
def test_a_cache_depends_on_lock_files_that_exist(job: dict[str, Any]) -> None:
    keys = [step["with"]["key"] for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")]
    assert keys
    for key in keys:
        hashed = re.search(r"hashFiles\((.*?)\)", key)
        assert hashed is not None
        files = re.findall(r"'([^']+)'", hashed[1])
        assert "requirements.lock" in files
        assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("job", jobs())
def test_a_job_calls_targets_and_tests_that_exist(job: dict[str, Any]) -> None:
    called = commands(job)
    assert any("make" in words or "pytest" in words for words in called)
    for words in called:
        if words[0] == "make":
            assert set(words[1:]) <= set(RULES)
        if "pytest" in words:
            named = [word for word in words if word.partition("/")[0] in ("tests", "--ignore=tests")]
            assert named
            assert [word for word in named if not (ROOT / word.removeprefix("--ignore=")).exists()] == []


def test_the_workflows_cover_every_system_and_the_newest_python() -> None:
    (path,) = WORKFLOWS
    everything, python = (read_yaml(path)["jobs"][name] for name in ("everything", "python"))
    assert ["make", "test"] in commands(everything)
    cells = python["strategy"]["matrix"]["include"]
    assert {cell["os"].partition("-")[0] for cell in cells} == {"macos", "windows", "ubuntu"}
    oldest = re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert oldest is not None
    minors = [int(cell["python"].removeprefix("3.")) for cell in cells]
    assert min(minors) == int(oldest[1])
    assert max(minors) > min(minors)


# The newest Python ----------------------------------------------------------------------------------------------------

needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="Windows starts no shell script")


def fake(folder: Path, minor: int, command: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"python3.{minor}"
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path


@needs_scripts
def test_the_newest_python_is_the_newest_release_that_starts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    fake(first, 99, "echo 'python3.99: command not found' >&2; exit 127")  # a shim of a version that is not selected
    fake(first, 98, "echo candidate 3.98.0rc1 /opt/python")
    fake(second, 97, "echo final 3.97.1 /opt/my python")
    fake(first, 96, "echo final 3.96.0 /opt/python")
    (first / "python3.95").write_text("not executable")
    (second / "python3.97-config").write_text("another program")
    path = os.pathsep.join([str(first), str(tmp_path / "absent"), "", str(second)])
    expected = newest.Python(str(second / "python3.97"), "final", "3.97.1", "/opt/my python")
    assert newest.find_newest(path, ">=3.11") == expected
    found = newest.find_newest(path, ">=3.11,<3.97")
    assert found is not None
    assert found.minor == (3, 96)
    assert newest.find_newest(path, ">=4") is None


def test_without_a_newer_python_it_says_so_and_makes_no_environment(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tests" / "newest.py"), str(tmp_path / "environment"), "--version"]
    done = subprocess.run(
        script, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    own = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{own} is the newest that starts here; nothing newer to test\n"
    assert not (tmp_path / "environment").exists()


# Forms ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_the_fields_that_github_expects(path: Path) -> None:
    form = read_yaml(path)
    assert set(form) == {"name", "description", "labels", "body"}
    assert len({field["id"] for field in form["body"]}) == len(form["body"])
    for field in form["body"]:
        assert field["type"] in ("input", "textarea", "dropdown")
        assert field["attributes"]["label"]
        assert set(field["attributes"]) <= {"label", "description", "placeholder", "render", "options"}
        assert ("options" in field["attributes"]) == (field["type"] == "dropdown")
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_there_are_forms_for_bugs_wishes_and_wrong_numbers() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature", "wrong_number"]
    assert read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": False}


def test_the_code_in_the_form_for_wrong_numbers_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.1}]}
    response = APIResponse("a-model", completion="a", logprobs=Logprobs.from_entries([entry]))
    fields = {field["id"]: field["attributes"] for field in read_yaml(FORMS[-1])["body"]}
    assert {"model", "server", "number", "table", "columns"} <= set(fields)
    printed = []
    for name in ("table", "columns"):
        code = re.search(r"`(.+?)`", fields[name]["description"])
        assert code is not None
        exec(code[1], {"response": response})
        printed.append(capsys.readouterr().out)
    assert json.loads(printed[0]) == list(response.logprobs or ())
    assert "'entropy_lower_bits'" in printed[1]


# Documents ------------------------------------------------------------------------------------------------------------


def test_the_citation_has_the_version_and_the_licence_of_the_package() -> None:
    citation, project = read_yaml(ROOT / "CITATION.cff"), PROJECT["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert (citation["abstract"], citation["keywords"]) == (project["description"], project["keywords"])
    assert citation["authors"] == [{"name": "The deluge_nb contributors"}]
    assert f"## [{citation['version']}] - {citation['date-released']}\n" in CHANGELOG


def test_the_changelog_has_the_keep_a_changelog_form() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    releases = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert releases
    assert None not in releases, headings
    dates = [datetime.date.fromisoformat(release[2]) for release in releases if release is not None]
    assert dates == sorted(dates, reverse=True)
    versions = [release[1] for release in releases if release is not None]
    assert versions == sorted(versions, key=lambda version: tuple(map(int, version.split("."))), reverse=True)
    assert versions[0] == PROJECT["project"]["version"]
    sections = re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_version_of_the_changelog_has_a_link() -> None:
    named = re.findall(r"^## \[(.*?)\]", CHANGELOG, re.MULTILINE)
    links = dict(re.findall(r"^\[(.+?)\]: (.+)$", CHANGELOG, re.MULTILINE))
    assert list(links) == named
    assert [target for name, target in links.items() if name != "Unreleased" and not target.endswith(f"/v{name}")] == []
    assert links["Unreleased"].endswith(f"/v{named[1]}...HEAD")


def test_the_security_policy_names_a_private_channel_and_no_address() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "**Report a vulnerability**" in policy
    assert not re.search(r"\w@\w|https?://", policy)


# pyproject.toml and the lock ------------------------------------------------------------------------------------------


def test_every_exception_of_the_linter_is_for_files_that_exist() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.py")]
    for folder in ("deluge_nb", "tests", "benchmarks", "examples", "docs", ".github"):
        files += [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")]
    patterns = list(PROJECT["tool"]["ruff"]["lint"]["per-file-ignores"])
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in files)] == []
    packages = [pattern.split("/")[1] for pattern in patterns if pattern.startswith("deluge_nb/")]
    assert len(packages) == len(set(packages)), "one line per package"


def test_every_file_that_the_sdist_includes_exists() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in included if not (ROOT / name.removeprefix("/")).exists()] == []


def test_the_locked_requirements_have_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
