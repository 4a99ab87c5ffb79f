"""`/metrics` of real servers: what is counted is what was sent, and the books balance at every look."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from ringserve.models.digits import digits_path
from ringserve.observe.catalogue.metric import Kind
from ringserve.observe.catalogue.roles import BY_ROLE
from tests.integration.servers import Server, Servers, chunked, infer_body, request, until
from tests.support import models

ROWS = [[number, 0.0, 0.0, 0.0] for number in range(1, 61)]


class Scrape:
    """One look at a server's metrics."""

    def __init__(self, server: Server) -> None:
        answer = server.get("/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(answer.body.decode())
        self.samples = [sample for family in families for sample in family.samples]

    def of(self, name: str, **labels: str) -> float:
        """The sum over all series of this name that have these labels."""
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"{name} {labels} is not shown"
        return float(sum(found))

    def check(self) -> None:
        """Hold what must hold at every moment."""
        accepted = self.of("ringserve_requests_accepted_total")
        finished = self.of("ringserve_requests_finished_total")
        assert accepted == finished + self.of("ringserve_requests_pending")
        failed = self.of("ringserve_requests_finished_total", outcome="failed")
        assert self.of("ringserve_request_failures_total") == failed
        answered = self.of("ringserve_requests_finished_total", outcome="answered")
        assert self.of("ringserve_request_seconds_count", phase="total") == answered
        for sample in self.samples:
            assert sample.value >= 0, sample


@contextmanager
def watched(*servers: Server) -> Iterator[list[Scrape]]:
    """Scrape the servers again and again while the block runs."""
    seen: list[Scrape] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.extend(Scrape(server) for server in servers)

    with ThreadPoolExecutor(1) as watcher:
        watching = watcher.submit(watch)
        try:
            yield seen
        finally:
            over.set()
            watching.result()


@pytest.mark.alone  # how long the model runs is measured when it is made
def test_what_is_counted_under_load_is_what_was_sent(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 0.02)
    with Servers(tmp_path) as servers:
        gateway, workers = servers.fleet(slow, 2)
        with watched(gateway, *workers) as seen, ThreadPoolExecutor(12) as callers:
            computed = [answer.status for answer in callers.map(gateway.infer, ROWS)]
            remembered = [answer.status for answer in callers.map(gateway.infer, ROWS[:20])]
        assert (set(computed), set(remembered)) == ({200}, {200})
        assert gateway.ask(chunked(infer_body(ROWS[0]))).status == 200
        assert gateway.infer("no numbers").status == 400
        assert gateway.get("/nowhere/1").status == gateway.get("/nowhere/2").status == 404
        assert b" 400 " in gateway.all_of(b"NO HTTP\r\n\r\n")
        after, nodes = Scrape(gateway), [Scrape(worker) for worker in workers]
    assert max(scrape.of("ringserve_requests_pending") for scrape in seen) > 0
    for scrape in [*seen, after, *nodes]:
        scrape.check()

    assert after.of("ringserve_http_requests_total", route="/infer", outcome="200") == 81
    assert after.of("ringserve_http_requests_total", route="/infer", outcome="400") == 1
    assert after.of("ringserve_http_requests_total", route="other", outcome="404") == 2
    assert after.of("ringserve_http_requests_total", route="unread", outcome="400") == 1
    assert after.of("ringserve_requests_finished_total", outcome="answered") == 81
    assert after.of("ringserve_link_requests_sent_total") == 81
    assert after.of("ringserve_ring_share") == pytest.approx(1.0)
    assert after.of("ringserve_link_state", state="up") == 2
    assert after.of("ringserve_breaker_state", state="CLOSED") == 2

    def both(name: str, **labels: str) -> float:
        return sum(node.of(name, **labels) for node in nodes)

    assert both("ringserve_requests_accepted_total") == 81
    assert (both("ringserve_cache_hits_total"), both("ringserve_cache_misses_total")) == (21, 60)
    assert both("ringserve_cache_entries") == 60
    assert both("ringserve_batch_items_sum") == both("ringserve_request_seconds_count", phase="queue") == 60
    batches = both("ringserve_batches_total")
    assert batches == both("ringserve_batch_items_count") == both("ringserve_runs_total")
    assert both("ringserve_request_seconds_count", phase="run") == batches
    assert both("ringserve_request_seconds_sum", phase="run") >= 0.02 * batches
    assert both("ringserve_links") == 2


def test_every_metric_of_the_catalogue_is_shown_with_its_type_and_meaning(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(digits_path())
        for role, server in (("gateway", gateway), ("worker", worker)):
            accept = "Accept: application/openmetrics-text; version=1.0.0"
            answer = server.ask(request(b"", accept, path="/metrics", method="GET"))
            assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            families = open_metrics_families(answer.body.decode())  # type: ignore[no-untyped-call]
            shown = {family.name: family for family in families}
            ending = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
            for metric in BY_ROLE[role]:
                family = shown[metric.name.removesuffix(ending.get(metric.kind, ""))]
                assert (family.type, family.documentation) == (metric.kind.value, metric.help)
                assert family.samples or metric.labels in {("key",), ("method", "code")}, metric.name
            (build,) = shown["ringserve_build"].samples
            assert build.labels["role"] == role
            assert shown["process_resident_memory_bytes"].samples[0].value > 1 << 20


def test_a_caller_who_leaves_is_counted_as_one_who_left(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 1.5)
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(slow)
        for number, ask in enumerate((request(infer_body(ROWS[0])), chunked(infer_body(ROWS[1]))), 1):
            with gateway.connect() as connection:
                connection.send(ask)
                until(lambda: Scrape(gateway).of("ringserve_requests_pending") > 0, gateway.log)
            until(lambda: Scrape(gateway).of("ringserve_requests_pending") == 0, gateway.log)
            seen = Scrape(gateway)
            seen.check()
            assert seen.of("ringserve_requests_finished_total", outcome="cancelled") == number
            until(
                lambda number=number: (  # type: ignore[misc]
                    Scrape(gateway).of("ringserve_http_requests_total", route="/infer", outcome="left")
                    == number
                ),
                gateway.log,
            )
        until(lambda: Scrape(worker).of("ringserve_requests_pending") == 0, worker.log)
        Scrape(worker).check()


def test_a_refusal_is_counted_once_under_its_route(tmp_path: Path) -> None:
    large = infer_body([0.5] * 1000)
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--max-body-mb", "0.001", "--max-header-kb", "1")
        for ask in (request(large), chunked(large), request(large, path="/nowhere")):
            assert b" 413 " in worker.all_of(ask)
        assert b" 431 " in worker.all_of(request(b"", "X-Long: " + "x" * 2000))
        assert b" 405 " in worker.all_of(request(b"", "Connection: close", path="/health"))
        seen = Scrape(worker)
    shown = {
        (sample.labels["route"], sample.labels["outcome"]): sample.value
        for sample in seen.samples
        if sample.name == "ringserve_http_requests_total" and sample.labels["outcome"] != "200"
    }
    assert shown == {
        ("/infer", "413"): 2,
        ("other", "413"): 1,
        ("/infer", "431"): 1,
        ("/health", "405"): 1,
    }
    seen.check()


def test_requests_are_counted_by_the_label_of_their_key_and_the_page_asks_for_one(tmp_path: Path) -> None:
    secrets = {"shop": "a" * 40, "scraper": "b" * 40}
    lines = [f"{label} sha256:{sha256(key.encode()).hexdigest()}\n" for label, key in secrets.items()]
    keys = tmp_path / "keys"
    keys.write_text("".join(lines))
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--api-keys", str(keys))
        assert worker.get("/metrics").status == worker.infer([0.0] * 64).status == 401
        for number in range(3):
            assert worker.infer([float(number)] * 64, f"X-API-Key: {secrets['shop']}").status == 200
        header = f"Authorization: Bearer {secrets['scraper']}"
        page = worker.ask(request(b"", header, path="/metrics", method="GET")).body.decode()
    shown = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert shown['ringserve_key_requests_total{key="shop"}'] == "3.0"
    assert shown['ringserve_key_requests_total{key="scraper"}'] == "1.0"
    assert shown['ringserve_http_requests_total{outcome="401",route="/infer"}'] == "1.0"
    assert shown['ringserve_http_requests_total{outcome="401",route="/metrics"}'] == "1.0"
    assert not any(key in page for key in secrets.values())


def test_sheds_are_counted_by_reason_and_stand_beside_the_limit(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 0.2)
    with Servers(tmp_path) as servers:
        worker = servers.worker(slow, "--max-queue", "2", "--max-batch", "1", "--max-wait-ms", "60000")
        with ThreadPoolExecutor(8) as callers:
            statuses = [answer.status for answer in callers.map(worker.infer, ROWS[:8])]
        seen = Scrape(worker)
    shed = statuses.count(429)
    assert shed > 0
    assert seen.of("ringserve_sheds_total", reason="queue_full") == shed
    assert seen.of("ringserve_http_requests_total", route="/infer", outcome="429") == shed
    assert seen.of("ringserve_requests_finished_total", outcome="failed") == shed
    assert (seen.of("ringserve_queue_items_max"), seen.of("ringserve_batch_items_max")) == (2, 1)
    seen.check()


def test_a_lost_worker_shows_as_a_link_that_is_down_and_a_breaker_that_counts(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, workers = servers.fleet(digits_path(), 2)
        lost = workers[0]
        lost.process.kill()
        lost.wait()

        def down() -> float:
            return Scrape(gateway).of("ringserve_link_state", worker=lost.address, state="down")

        until(lambda: down() == 1, gateway.log)
        until(
            lambda: Scrape(gateway).of("ringserve_breaker_state", worker=lost.address, state="OPEN") == 1,
            gateway.log,
        )
        seen = Scrape(gateway)
    assert seen.of("ringserve_breaker_transitions_total", worker=lost.address, to="OPEN") == 1
    assert seen.of("ringserve_breaker_failures", worker=lost.address) >= 5
    assert seen.of("ringserve_link_state", worker=workers[1].address, state="up") == 1


def test_a_worker_that_loads_its_model_shows_its_process_alone(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 0.5)  # its warm-up takes several runs
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Servers(tmp_path) as servers:
        worker = servers.start("worker", str(port), "w", str(slow))
        worker.port = port

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((worker.host, port)) == 0

        until(listens, worker.log)
        loading = Scrape(worker)
        loaded = Scrape(worker.wait_ready())
    assert loading.of("ringserve_state", state="starting") == 1
    assert not any(sample.name.startswith("ringserve_cache") for sample in loading.samples)
    assert loaded.of("ringserve_state", state="ready") == 1
    assert loaded.of("ringserve_cache_entries") == 0
