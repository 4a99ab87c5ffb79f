from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ringserve.errors import UsageError
from ringserve.tools.diagnose import findings_of, run_diagnose
from ringserve.tools.findings import Finding, Verdict
from ringserve.tools.options import DiagnoseOptions
from ringserve.tools.processes import Process, ringserve_processes
from ringserve.tools.survey import survey
from tests.tools.stand_in import Gateway, StandIn, fleet, served

FAILS = Verdict.FAILS


@pytest.fixture(autouse=True)
def only_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else of ringserve runs on this machine must not change what these tests see of /proc."""

    def own() -> list[Process]:
        return [one for one in ringserve_processes() or [] if one.parent == os.getpid()]

    monkeypatch.setattr("ringserve.tools.survey.ringserve_processes", own)


def options_for(gateway: Gateway, *workers: str, timeout_s: float = 5.0) -> DiagnoseOptions:
    urls = workers or tuple(worker.url for worker in gateway.workers)
    return DiagnoseOptions(gateway=gateway.url, workers=urls, timeout_s=timeout_s)


def findings(gateway: Gateway, *workers: str, timeout_s: float = 5.0) -> list[Finding]:
    return findings_of(survey(options_for(gateway, *workers, timeout_s=timeout_s)))


def failed(found: Sequence[Finding]) -> list[int]:
    return [number for number, one in enumerate(found, start=1) if one.verdict is FAILS]


@pytest.fixture
def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_sound_fleet_fails_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        assert run_diagnose(options_for(gateway)) == 0
    out = capsys.readouterr().out
    assert "No check failed." in out
    assert "\x1b" not in out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_prose_keeps_within_the_terminal_and_commands_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, closed_url: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with fleet() as gateway:
        assert run_diagnose(options_for(gateway, gateway.workers[0].url, closed_url)) == 1
    out = capsys.readouterr().out
    assert f"ringserve worker {closed_url.rpartition(':')[2]} worker_2 MODEL.onnx" in out
    prose = [line for line in out.splitlines() if not line.lstrip().startswith("mend")]
    assert max(map(len, prose)) <= int(columns)


def test_a_worker_that_is_down_is_told_once_with_its_command(closed_url: str) -> None:
    with fleet() as gateway:
        found = findings(gateway, gateway.workers[0].url, closed_url)
    assert failed(found) == [1, 2, 3, 5]
    (fault,) = found[0].faults
    assert "model file is missing or corrupt" in fault.cause
    assert fault.mend.startswith(f"ringserve worker {closed_url.rpartition(':')[2]} worker_2")
    assert all("see check" in later.seen for one in found[1:] for later in one.faults)


def test_nothing_at_all_is_mended_by_up(closed_url: str) -> None:
    seen = survey(DiagnoseOptions(gateway=closed_url, workers=(closed_url,)))
    found = findings_of(seen)
    assert failed(found) == [1, 2, 3, 4, 5, 6]
    assert all(fault.mend.startswith("ringserve up") for fault in found[0].faults)


def test_a_foreign_http_server_at_a_workers_port_is_a_wrong_port(tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server, fleet() as gateway:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found = findings(gateway, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert failed(found) == [3, 5]
    (fault,) = found[2].faults
    assert fault.seen.startswith("404 by SimpleHTTP")
    assert "wrong port" in fault.cause
    assert f"sport = :{server.server_port}" in fault.mend


def test_gateway_and_worker_taken_for_each_other_are_named() -> None:
    with fleet() as gateway:
        worker = gateway.workers[0]
        found = findings_of(survey(DiagnoseOptions(gateway=worker.url, workers=(gateway.url,))))
    assert found[2].faults[0].seen == "a gateway of ringserve answers"
    assert found[3].faults[0].seen == "a worker of ringserve answers"


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("loading", "still loading"),
        ("draining", "draining"),
        ("hung", "past the hang limit"),
        ("", "loads its model, is draining, or one run"),
    ],
)
def test_a_worker_that_calls_itself_ill_is_asked_why(state: str, cause: str) -> None:
    with fleet() as gateway:
        worker = gateway.workers[1]
        worker.routes["GET /health"] = lambda _: (503, worker.health() | {"healthy": False, "state": state})
        found = findings(gateway)
    assert failed(found) == [3]
    assert cause in found[2].faults[0].cause


def test_a_server_that_takes_connections_and_says_nothing_ends_each_check_in_time() -> None:
    with fleet() as gateway, socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = findings(gateway, url, timeout_s=0.2)
        assert failed(found) == [3, 5]
        assert found[2].faults[0].seen == "no answer within 0.2 s"
        found = findings_of(survey(DiagnoseOptions(gateway=url, workers=(), timeout_s=0.2)))
        assert failed(found) == [4, 6]


def test_a_gateway_with_all_breakers_open_is_told_as_that() -> None:
    with fleet() as gateway:
        gateway.state, gateway.link = "OPEN", "down"
        gateway.routes["POST /infer"] = lambda _: (503, {"error": "no worker can take it"})
        found = findings(gateway)
    assert failed(found) == [4, 6]
    (fault,) = found[3].faults
    assert fault.seen == "all circuit breakers are OPEN"
    assert "30 s" in fault.mend


def test_a_gateway_without_a_link_is_told_as_that() -> None:
    with fleet() as gateway:
        gateway.link = "down"
        found = findings(gateway)
    (fault,) = found[3].faults
    assert fault.seen == "it has a link to none of its workers"


@pytest.mark.parametrize(
    ("state", "link", "seen"),
    [
        ("OPEN", "up", "OPEN"),
        ("HALF_OPEN", "up", "HALF_OPEN"),
        ("CLOSED", "down", "link down"),
        ("CLOSED", "going away", "going away"),
    ],
)
def test_one_unable_worker_is_named(state: str, link: str, seen: str) -> None:
    with fleet(2) as gateway:
        stats = gateway.stats()
        breakers = stats["circuit_breakers"]
        assert isinstance(breakers, list)
        breakers[1] |= {"state": state, "link": link}
        gateway.routes["GET /stats"] = lambda _: (200, stats)
        found = findings(gateway)
        (fault,) = found[3].faults
        assert (fault.target, fault.seen) == (f"127.0.0.1:{gateway.workers[1].port}", seen)


def test_a_gateway_of_the_reference_design_tells_no_links_and_is_sound() -> None:
    with fleet() as gateway:
        gateway.link = None
        del gateway.routes["GET /model"]
        assert failed(findings(gateway)) == []


def test_workers_with_different_models_are_found_by_their_answers() -> None:
    with fleet() as gateway:
        odd = gateway.workers[2]
        odd.routes["POST /infer"] = lambda _: (200, {"request_id": "diagnose", "output_data": [1.0, 2.0]})
        found = findings(gateway)
        assert failed(found) == [5]
        assert found[4].faults[0].target == f"127.0.0.1:{odd.port}"
        gateway.routes["POST /infer"] = lambda _: (200, {"request_id": "diagnose", "output_data": [5.0]})
        assert failed(findings(gateway)) == [5, 6]


@pytest.mark.parametrize(
    ("status", "mend"), [(400, "/model"), (500, "/model"), (429, "load"), (504, "load"), (418, "ss -ltnp")]
)
def test_an_inference_that_fails_has_its_status_and_sentence(status: int, mend: str) -> None:
    with fleet() as gateway:
        gateway.routes["POST /infer"] = lambda _: (status, {"error": "it is so. And more"})
        (fault,) = findings(gateway)[5].faults
    assert fault.seen == f"{status}: it is so."
    assert mend in fault.mend


def test_a_model_that_infer_cannot_describe_is_no_failure() -> None:
    with fleet() as gateway:
        for server in (gateway, *gateway.workers):
            server.routes["GET /model"] = lambda _: (200, {"name": "two", "version": "1", "inputs": []})
        found = findings(gateway)
    assert [one.verdict for one in found[4:]] == [Verdict.CANNOT_TELL, Verdict.CANNOT_TELL]


def test_a_host_that_does_not_exist_is_told_apart_from_a_closed_port() -> None:
    with fleet() as gateway:
        found = findings(gateway, "http://no-such-host.invalid:8001")
    assert failed(found) == [2, 3, 5]
    assert "getent hosts no-such-host.invalid" in found[1].faults[0].mend


def test_a_worker_on_another_port_is_named_where_one_is_missing(tmp_path: Path, closed_url: str) -> None:
    script = tmp_path / "ringserve"
    script.write_text("print(flush=True)\ninput()")
    command = [sys.executable, str(script), "worker", "18001", "worker_1", "m.onnx"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with served(StandIn()) as other:
            found = findings_of(survey(DiagnoseOptions(gateway=other.url, workers=(closed_url,))))
        child.communicate(b"\n")
    (fault,) = found[0].faults
    assert "is the port right?" in fault.cause
    assert ".onnx" in fault.mend


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--workers"):
        run_diagnose(DiagnoseOptions(workers=("ftp://x",)))
