"""A worker and its folder of models: what is served, what is exchanged, and what is given back."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from tests.integration.servers import Answer, Server, Servers, infer_body, request, until
from tests.support import models

BIG = (64, 3600, 3600, 10)
"""Layers of a model of 52 MB."""
PIXELS = [0.5] * 64


def infer(server: Server, model: str, data: object, **fields: object) -> Answer:
    return server.ask(request(infer_body(data, model=model, **fields)))


def post(server: Server, path: str) -> Answer:
    return server.ask(request(b"{}", path=path))


def index(server: Server) -> dict[tuple[str, str], tuple[str, str]]:
    rows = post(server, "/v2/repository/index").json
    return {(row["name"], row["version"]): (row["state"], row["reason"]) for row in rows}


def put(source: Path, target: Path) -> None:
    """Put a file in place at once, as whoever replaces a model that is served should."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target.with_name(".new"))
    target.with_name(".new").rename(target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layouts, options, and a file that is none of a model."""
    folder = tmp_path_factory.mktemp("models")
    models.mlp(folder / "flat.onnx")
    for name in ("deep", "old/1", "old/2", "pair/1", "pair/3"):
        (folder / name).mkdir(parents=True)
    models.failing_on_value(folder / "deep" / "model.onnx")
    (folder / "deep" / "config.toml").write_text("cache = false\nmax-batch = 3\nlabels = 'names.txt'")
    (folder / "deep" / "names.txt").write_text("cat\ndog\n")
    models.mlp(folder / "old" / "1" / "model.onnx", seed=1)
    models.mlp(folder / "old" / "2" / "model.onnx", seed=2)
    models.mlp(folder / "pair" / "1" / "model.onnx", seed=1)
    models.mlp(folder / "pair" / "3" / "model.onnx", seed=3)
    (folder / "pair" / "config.toml").write_text("versions = [1, 3]")
    (folder / "bad.onnx").write_bytes(b"nothing")
    (folder / "odd.onnx").write_bytes((folder / "flat.onnx").read_bytes())
    (folder / "odd.toml").write_text("max-bach = 3")
    return folder


@pytest.fixture(scope="module")
def worker(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        yield servers.worker(folder)


def test_each_layout_is_served_under_its_name_and_what_cannot_be_says_why(worker: Server) -> None:
    assert {place: state for place, (state, _) in index(worker).items()} == {
        ("bad", "1"): "UNAVAILABLE",
        ("deep", "1"): "READY",
        ("flat", "1"): "READY",
        ("odd", "1"): "UNAVAILABLE",
        ("old", "1"): "UNAVAILABLE",
        ("old", "2"): "READY",
        ("pair", "1"): "READY",
        ("pair", "3"): "READY",
    }
    reasons = {place: reason for place, (_, reason) in index(worker).items()}
    assert reasons["bad", "1"].startswith("bad.onnx is no ONNX model, or a damaged one")
    assert reasons["odd", "1"].endswith("odd.toml: unknown key 'max-bach'; did you mean 'max-batch'?")
    assert reasons["old", "1"] == "version 2 is served"
    assert "model 'bad' version 1 is not served: " in worker.log()
    served = [(row["name"], row["version"], row["default"]) for row in worker.get("/health").json["models"]]
    assert served == [
        ("deep", "1", True),
        ("flat", "1", True),
        ("old", "2", True),
        ("pair", "1", False),
        ("pair", "3", True),
    ]


def test_infer_names_its_model_and_version(worker: Server) -> None:
    latest = infer(worker, "pair", PIXELS).json["output_data"]
    third = infer(worker, "pair", PIXELS, model_version="3").json["output_data"]
    first = infer(worker, "pair", PIXELS, model_version="1").json["output_data"]
    assert latest == third != first
    assert infer(worker, "old", PIXELS).json["output_data"] != latest


def test_named_and_unnamed_requests_follow_each_other_on_one_connection(worker: Server) -> None:
    flat, deep = infer_body(PIXELS, model="flat"), infer_body([1, 2, 3, 4], model="deep")
    bodies = [(flat, 200), (deep, 200), (b"[", 400), (deep, 200), (infer_body(PIXELS), 400), (flat, 200)]
    with worker.connect() as connection:
        assert [connection.ask(request(body)).status for body, _ in bodies] == [
            status for _, status in bodies
        ]


@pytest.mark.parametrize("filler", [0, 300_000], ids=["small", "large"])
def test_who_names_no_model_or_none_that_is_there_is_told_which_are(worker: Server, filler: int) -> None:
    more = {"filler": "x" * filler} if filler else {}
    unnamed = worker.ask(request(infer_body(PIXELS, **more)))
    names = "'deep', 'flat', 'old' and 'pair' are served"
    assert (unnamed.status, names in unnamed.error) == (400, True)
    unknown = infer(worker, "zebra", PIXELS, **more)
    assert (unknown.status, unknown.error) == (404, f"there is no model 'zebra' here; {names}")
    assert infer(worker, "../flat", PIXELS, **more).status == 404
    version = infer(worker, "old", PIXELS, model_version="1", **more)
    assert version.error == "model 'old' has no version '1' here; version '2' is served"
    broken = infer(worker, "bad", PIXELS, **more)
    assert (broken.status, broken.error.startswith("model 'bad' is not ready: ")) == (503, True)
    assert infer(worker, "flat", PIXELS, **more).status == 200


def test_options_hold_for_their_model_alone(worker: Server) -> None:
    for _ in range(2):
        assert infer(worker, "deep", [1, 2, 3, 4]).json["cached"] is False
    assert infer(worker, "flat", [0.25] * 64).json["cached"] is False
    assert infer(worker, "flat", [0.25] * 64).json["cached"] is True
    sizes = [worker.get(f"/v2/models/{name}/config").json["max_batch_size"] for name in ("deep", "flat")]
    assert sizes == [3, 32]
    x = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 4, 2, 0]}
    asked = {"inputs": [x], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
    best = worker.ask(request(orjson.dumps(asked), path="/v2/models/deep/infer")).json["outputs"][0]["data"]
    assert best == ["8.000000:1:dog", "4.000000:2"]


def test_metrics_tell_the_models_apart(worker: Server) -> None:
    infer(worker, "pair", PIXELS, model_version="1")
    page = worker.get("/metrics").body.decode()
    lines = [line for line in page.splitlines() if line.startswith("ringserve_requests_accepted_total{")]
    assert [line.partition("}")[0].partition("{")[2] for line in lines] == [
        f'model="{name}",version="{version}"'
        for name, version in [("deep", 1), ("flat", 1), ("old", 2), ("pair", 1), ("pair", 3)]
    ]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "holds no model; put NAME.onnx or NAME/model.onnx there, or start with --model-control poll"),
        (("--models", "cat"), "--models cat: "),
    ],
)
def test_a_folder_without_the_models_asked_for_is_one_line_and_status_2(
    tmp_path: Path, flags: tuple[str, ...], sentence: str
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    with Servers(tmp_path) as servers:
        worker = servers.start("worker", "0", "worker_1", str(folder), *flags)
        assert worker.wait() == 2
        (line,) = worker.log().splitlines()
    assert sentence in line


def resident_bytes(server: Server) -> int:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_an_empty_folder_is_polled_and_an_unloaded_model_gives_its_memory_back(tmp_path: Path) -> None:
    big, folder = models.mlp(tmp_path / "big.onnx", BIG), tmp_path / "models"
    folder.mkdir()
    with Servers(tmp_path) as servers:
        worker = servers.worker(folder, "--model-control", "poll", "--poll-s", "0.1", "--cache-capacity", "0")
        assert worker.get("/v2/health/ready").status == 200
        assert infer(worker, "big", PIXELS).error == "no model is served here now"
        put(models.mlp(tmp_path / "small.onnx"), folder / "small.onnx")
        until(lambda: infer(worker, "small", PIXELS).status == 200, worker.log)
        before = resident_bytes(worker)
        put(big, folder / "big" / "1" / "model.onnx")
        until(lambda: infer(worker, "big", PIXELS).status == 200, worker.log)
        loaded = resident_bytes(worker)
        assert loaded - before > 50e6
        shutil.rmtree(folder / "big")
        until(lambda: ("big", "1") not in index(worker), worker.log)
        until(lambda: resident_bytes(worker) - before < 0.2 * (loaded - before), worker.log)
        assert infer(worker, "small", PIXELS).status == 200
        assert worker.stop() == 0


def test_a_new_version_is_swapped_in_under_load_and_a_broken_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    put(models.mlp(tmp_path / "one.onnx", seed=1), folder / "net" / "1" / "model.onnx")
    answers: list[Answer] = []
    over = threading.Event()

    def call(gateway: Server, number: int) -> None:
        with gateway.connect() as connection:
            while not over.is_set():
                number += 1
                answers.append(connection.ask(request(infer_body([number / 1e4] * 64))))

    with Servers(tmp_path) as servers, ThreadPoolExecutor(4) as callers:
        gateway, (worker,) = servers.fleet(folder, 1, "--model-control", "poll", "--poll-s", "0.1")
        calling = [callers.submit(call, gateway, 10_000 * caller) for caller in range(3)]
        try:
            first = gateway.infer(PIXELS).json["output_data"]
            (folder / "net" / "2").mkdir()
            (folder / "net" / "2" / "model.onnx").write_bytes(b"broken")
            until(lambda: index(worker).get(("net", "2"), ("",))[0] == "UNAVAILABLE", worker.log)
            assert gateway.infer(PIXELS).json["output_data"] == first
            put(models.mlp(tmp_path / "two.onnx", seed=2), folder / "net" / "2" / "model.onnx")
            until(lambda: bool(gateway.infer(PIXELS).json["output_data"] != first), worker.log)
            assert gateway.infer(PIXELS).json["output_data"] != first
            until(lambda: index(worker).get(("net", "1"), ("",))[0] == "UNAVAILABLE", worker.log)
        finally:
            over.set()
        for done in calling:
            done.result()
        assert {answer.status for answer in answers} == {200}
        assert len(answers) > 10
        assert worker.log().count("is not served: ") == 1


def test_a_file_that_is_served_alone_is_exchanged_too(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "net.onnx", seed=1)
    with Servers(tmp_path) as servers:
        worker = servers.worker(path, "--model-control", "poll", "--poll-s", "0.1")
        first = worker.infer(PIXELS).json["output_data"]
        put(models.mlp(tmp_path / "two.onnx", seed=2), path)
        until(lambda: bool(worker.infer(PIXELS).json["output_data"] != first), worker.log)
        assert worker.get("/health").json["total_requests"] > 1  # of the model before too
        assert orjson.loads(worker.get("/model").body)["name"] == "net"


@pytest.fixture(scope="module")
def explicit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server, list[Server]]]:
    """Two workers that load what they are asked to, of which one carries `b` alone, and their gateway."""
    folder = tmp_path_factory.mktemp("models")
    put(models.mlp(folder / "source.tmp", seed=1), folder / "a" / "1" / "model.onnx")
    put(folder / "source.tmp", folder / "b.onnx")
    (folder / "source.tmp").unlink()
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        flags = ("--model-control", "explicit")
        workers = [
            servers.start("worker", "0", "both", str(folder), *flags),
            servers.start("worker", "0", "one", str(folder), *flags, "--models", "b"),
        ]
        for worker in workers:
            worker.wait_ready()
        yield folder, servers.gateway(workers, "--default-model", "b"), workers


def test_workers_carry_different_models_behind_one_gateway(
    explicit: tuple[Path, Server, list[Server]],
) -> None:
    _, gateway, workers = explicit
    rows = [[number / 100] * 64 for number in range(40)]
    assert {infer(gateway, "a", row).json["node_id"] for row in rows} == {"both"}
    assert {infer(gateway, "b", row).json["node_id"] for row in rows} == {"both", "one"}
    assert gateway.infer(rows[0]).json["output_data"] == infer(gateway, "b", rows[0]).json["output_data"]
    unnamed = workers[0].infer(rows[0])
    assert unnamed.status == 400
    assert {"'a'", "'b'"} <= set(re.findall(r"'\w+'", unnamed.error))  # other tests load others beside them
    assert workers[1].infer(rows[0]).status == 200


def test_no_answer_of_the_old_version_follows_the_answer_of_a_load(
    explicit: tuple[Path, Server, list[Server]], tmp_path: Path
) -> None:
    folder, gateway, _ = explicit
    old = infer(gateway, "a", PIXELS).json["output_data"]
    put(models.mlp(tmp_path / "two.onnx", seed=2), folder / "a" / "2" / "model.onnx")
    assert infer(gateway, "a", PIXELS).json["output_data"] == old
    statuses: list[int] = []
    over = threading.Event()

    def call() -> None:
        number = 0
        with gateway.connect() as connection:
            while not over.is_set():
                number += 1
                statuses.append(connection.ask(request(infer_body([number / 1e4] * 64, model="a"))).status)

    with ThreadPoolExecutor(2) as callers:
        calling = [callers.submit(call) for _ in range(2)]
        loaded = post(gateway, "/v2/repository/models/a/load")
        after = [infer(gateway, "a", PIXELS).json["output_data"] for _ in range(5)]
        over.set()
        for done in calling:
            done.result()
    assert (loaded.status, set(statuses)) == (200, {200})
    assert all(answer != old for answer in after)
    assert index(gateway)["a", "1"] == ("UNAVAILABLE", "version 2 is served")


def test_a_load_that_fails_says_why_and_leaves_what_serves(
    explicit: tuple[Path, Server, list[Server]],
) -> None:
    folder, gateway, _ = explicit
    before = infer(gateway, "b", PIXELS).json["output_data"]
    put(folder / "b.onnx", folder.parent / "b.onnx")
    (folder / "b.onnx").write_bytes(b"broken")
    failed = post(gateway, "/v2/repository/models/b/load")
    assert failed.status == 400
    assert "b.onnx is no ONNX model" in failed.error
    assert infer(gateway, "b", PIXELS).json["output_data"] == before
    put(folder.parent / "b.onnx", folder / "b.onnx")
    assert post(gateway, "/v2/repository/models/b/load").status == 200


def test_what_is_unloaded_is_not_found_until_it_is_loaded_again(
    explicit: tuple[Path, Server, list[Server]],
) -> None:
    _, gateway, workers = explicit
    assert post(gateway, "/v2/repository/models/b/unload").status == 200
    gone = infer(gateway, "b", PIXELS)
    assert (gone.status, "model 'b'" in gone.error) == (404, True)
    assert [row["name"] for row in workers[1].get("/health").json["models"]] == []
    assert workers[1].get("/v2/health/ready").status == 200
    assert post(gateway, "/v2/repository/models/b/load").status == 200
    assert infer(gateway, "b", PIXELS).status == 200
    unknown = post(gateway, "/v2/repository/models/zebra/load")
    assert (unknown.status, "there is no model 'zebra' to load" in unknown.error) == (404, True)


def test_who_did_not_ask_for_it_loads_nothing_for_callers(worker: Server) -> None:
    refused = post(worker, "/v2/repository/models/flat/load")
    assert refused.status == 405
    assert refused.error.endswith("start it with --model-control explicit")


def test_up_takes_a_folder_and_says_at_once_that_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    models.mlp(folder / "a.onnx")
    models.two_inputs(folder / "b.onnx")
    with Servers(tmp_path) as servers:
        missing = servers.up(str(tmp_path / "nowhere"))
        up = servers.up(str(folder), "--default-model", "a", workers=1).wait_ready()
        assert up.infer(PIXELS).status == 200
        assert up.get("/v2/models").json == {"models": ["a", "b"]}
        assert up.stop() == 0
        assert missing.wait() == 2
    assert "nowhere does not exist; name a file, a folder of models, or none for" in missing.log()


def test_bench_and_diagnose_name_a_model_where_there_are_several(
    folder: Path, worker: Server, tmp_path: Path
) -> None:
    with Servers(tmp_path) as servers:
        other = servers.worker(folder, "--models", "pair", name="worker_2")
        gateway = servers.gateway([worker, other])
        url, workers = f"http://{gateway.address}", [f"http://{one.address}" for one in (worker, other)]
        program = [sys.executable, "-m", "ringserve"]
        bench = [*program, "bench", "--gateway", url, "--requests", "20", "--threads", "2", "--json"]
        report = subprocess.run(bench, capture_output=True, text=True, check=True)
        assert orjson.loads(report.stdout)["failures"] == []
        diagnose = [*program, "diagnose", "--gateway", url, "--workers", *workers]
        found = subprocess.run(diagnose, capture_output=True, text=True, check=False)
    assert (found.returncode, "1 of 2 answer" in found.stdout) == (0, True), found.stdout
