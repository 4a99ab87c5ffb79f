import json
import os
import re
import subprocess
import sys

import pytest

from ringserve.settings import COMMANDS, default_of, fields_for
from ringserve.values import plain
from tests.tidy.tree import ROOT

# Runs the command of its arguments, then says how it ended and which heavy modules it had imported.
LOOK = """
import json, sys
from ringserve.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    heavy = {"numpy", "onnxruntime", "prometheus_client", "grpc", "ray"} & set(sys.modules)
    print(json.dumps([end.code or 0, sorted(heavy)]), file=sys.stderr)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment
    )


@pytest.mark.parametrize("command", ["--help", "--version", "up --help", "bench --help", "config"])
def test_a_command_that_serves_nothing_imports_nothing_heavy(command: str) -> None:
    said = run("-c", LOOK, *command.split()).stderr
    assert json.loads(said.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_each_setting_with_its_default_and_no_other(command: str) -> None:
    page = run("-m", "ringserve", command, "--help").stdout
    entries = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)(.*?)(?=^  -|^\S|\Z)", page, re.MULTILINE | re.DOTALL)
    shown = {flag: " ".join(text.split()) for flag, text in entries}
    expected = {
        f"--{spec.name.replace('_', '-')}": plain(default_of(spec, command)) for spec in fields_for(command)
    }
    assert set(shown) - {"--config", "--help"} == set(expected)
    assert [flag for flag, default in expected.items() if f"[default: {default}" not in shown[flag]] == []


def test_the_configuration_document_names_each_flag_its_variable_and_its_defaults() -> None:
    """`make docs` writes it again."""
    lines = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    missing = []
    for command in COMMANDS:
        for spec in fields_for(command):
            words = (
                f"--{spec.name.replace('_', '-')}`",
                f"RINGSERVE_{spec.name.upper()}",
                plain(default_of(spec, command)),
            )
            if not any(all(word in line for word in words) for line in lines):
                missing.append(f"{command}: {', '.join(words)}")
    assert missing == []
