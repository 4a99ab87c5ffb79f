"""The command line as a person meets it: a process, its two outputs and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUBCOMMANDS = ["worker", "gateway", "up", "restart", "key", "bench", "diagnose", "config"]


def ringserve(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ringserve", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **variables},
    )


def test_alone_and_with_help_it_names_the_commands() -> None:
    alone, helped = ringserve(), ringserve("--help")
    assert alone.stdout == helped.stdout
    assert (alone.returncode, alone.stderr) == (0, "")
    assert all(f"\n  {name} " in alone.stdout for name in SUBCOMMANDS)


def test_it_says_its_version() -> None:
    said = ringserve("--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("ringserve ")


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_help_reads_like_a_manual_page(command: str) -> None:
    page = ringserve(command, "--help")
    assert (page.returncode, page.stderr) == (0, "")
    assert page.stdout.startswith(f"Usage: ringserve {command} ")
    assert "\nExamples:\n" in page.stdout
    assert ("RINGSERVE_MAX_BATCH" in page.stdout) == (command not in {"key", "bench", "diagnose"})
    assert "supervisor-fd" not in page.stdout


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("serve", "no such command 'serve'"),
        ("worker", "PORT is missing"),
        ("worker 8001 w", "MODEL is missing"),
        ("worker x w m.onnx", "PORT: expected a whole number from 0 to 65535, got 'x'"),
        ("worker 65536 w m.onnx", "PORT: expected"),
        ("worker 0 w m.onnx extra", "extra"),
        ("gateway", "name each as HOST:PORT"),
        ("gateway localhost", "expected HOST:PORT"),
        ("gateway localhost:1 localhost:1", "twice"),
        ("up --max-bach 3", "--max-batch"),
        ("up --max-batch many", "--max-batch: expected a whole number from 1 to 65536 (items), got 'many'"),
        ("up --max-batch", "--max-batch"),
        ("up --config nowhere.toml", "nowhere.toml"),
        ("up a b", "extra argument"),
        ("up nowhere.onnx", "model nowhere.onnx does not exist"),
        ("bench --requests 0", "--requests"),
        ("bench --threads x", "--threads"),
        ("bench http://a", "extra argument"),
        ("diagnose --nope", "--nope"),
        ("config --for bench", "--for"),
        ("restart --port many", "--port: expected a whole number from 0 to 65535, got 'many'"),
        ("restart --port 1", "no `ringserve up` of this user serves port 1"),
        ("restart --workers 2", "--workers"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(words: str, part: str) -> None:
    said = ringserve(*words.split())
    assert said.returncode == 2, said
    assert said.stdout == ""
    assert part in said.stderr
    assert said.stderr.startswith("ringserve")
    assert said.stderr.count("\n") == 1


def test_config_says_what_holds_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("max-batch = 2\nthreads = 2\nmax-queue = 2\n")
    said = ringserve(
        "config",
        "--threads",
        "4",
        "--config",
        str(file),
        "--json",
        RINGSERVE_MAX_QUEUE="3",
        RINGSERVE_THREADS="3",
    )
    found = json.loads(said.stdout)
    assert found["threads"] == {"value": 4, "origin": "flag --threads"}
    assert found["max_queue"] == {"value": 3, "origin": "environment RINGSERVE_MAX_QUEUE"}
    assert found["max_batch"] == {"value": 2, "origin": f"file {file}"}
    assert found["workers"] == {"value": 3, "origin": "default"}


def test_config_without_a_terminal_is_a_plain_table_for_the_command_asked_for() -> None:
    lines = ringserve("config", "--for", "worker", "--max-batch", "64").stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert rows["max-batch"] == ["64", "items", "flag", "--max-batch"]
    assert rows["max-wait-ms"] == ["auto", "default"]
    assert "virtual-nodes" not in rows


def test_bench_and_diagnose_read_no_environment() -> None:
    """Their `--workers` are URLs, so the variable of `up` must not reach them."""
    said = ringserve(
        "diagnose",
        "--gateway",
        "http://127.0.0.1:1",
        "--workers",
        "http://127.0.0.1:1",
        RINGSERVE_WORKERS="x",
    )
    assert said.returncode == 1, said


def test_workers_may_be_several_words_after_one_flag() -> None:
    urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    together = ringserve("diagnose", "--gateway", "http://127.0.0.1:3", "--workers", *urls)
    apart = ringserve(
        "diagnose", "--workers", urls[0], "--workers", urls[1], "--gateway", "http://127.0.0.1:3"
    )
    assert together.returncode == apart.returncode == 1
    assert all(url.removeprefix("http://") in together.stdout for url in urls)
    assert all(url.removeprefix("http://") in apart.stdout for url in urls)


def test_a_reader_that_leaves_early_meets_no_traceback() -> None:
    script = f"{sys.executable} -m ringserve config --json | true"
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert said.stderr == ""
