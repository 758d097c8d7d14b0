"""What GitHub runs: files that nothing here executes, so that their promises are read off them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pages import ROOT

WORKFLOWS = {path.name: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", ["tests.yml", "wheels.yml"])
def test_workflows_have_the_least_permissions_and_pinned_actions(name: str) -> None:
    workflow = read(WORKFLOWS[name])
    assert set(workflow) >= {"name", True, "permissions", "jobs"}  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        assert job.get("permissions", {}) in ({}, {"id-token": "write"})
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action), action


def test_tests_run_on_what_the_package_promises() -> None:
    jobs = read(WORKFLOWS["tests.yml"])["jobs"]
    matrix = jobs["systems"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.14", "3.14t"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        f"numpy>={re.findall(r'numpy==([0-9.]+[0-9])', str(jobs['oldest-numpy']))[0]}"
        in project["dependencies"]
    )


@pytest.mark.parametrize("name", ["tests.yml", "wheels.yml"])
def test_files_that_workflows_run_are_there(name: str) -> None:
    commands = " ".join(step["run"] for step in steps(read(WORKFLOWS[name])) if "run" in step)
    found = re.findall(r"(?<!\S)((?:tests|\.ci)/[\w./]+)", commands)
    assert found
    assert [each for each in found if not (ROOT / each).exists()] == []


def test_only_tags_are_published_without_a_token() -> None:
    workflow = read(WORKFLOWS["wheels.yml"])
    publish = workflow["jobs"].pop("publish")
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert publish["permissions"] == {"id-token": "write"}
    assert set(publish["needs"]) == set(workflow["jobs"])
    assert "id-token" not in str(workflow["jobs"])
    assert "secrets." not in WORKFLOWS["wheels.yml"].read_text(encoding="utf-8")


def test_a_bug_comes_with_the_configuration() -> None:
    assert [path.stem for path in TEMPLATES] == ["bug", "config", "question"]
    assert "unsample.show_config()" in str(read(TEMPLATES[0])["body"])
    for path in (TEMPLATES[0], TEMPLATES[2]):
        form = read(path)
        assert {"name", "description", "body"} <= set(form)
        assert any(each.get("validations", {}).get("required") for each in form["body"])


def test_a_commit_is_checked_with_the_pinned_tools() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (repo,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint: ")[2].partition("\n\n")[0]
    for hook in repo["hooks"]:
        assert hook["language"] == "python"
        assert hook["additional_dependencies"]
        assert [each for each in hook["additional_dependencies"] if each not in pinned] == []
        assert f"$(BIN)/{hook['entry'].split()[0]} " in lint.replace("\n", " \n") + " "
