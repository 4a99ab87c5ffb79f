"""Limits that are no flags: what nobody should have to tune, but must be able to look up."""

from __future__ import annotations

from dataclasses import dataclass

TENSOR_ELEMENTS_MAX = 1 << 26
"""Elements of one tensor. A JSON body of the default size holds at most half as many numbers."""

FRAME_BYTES_MAX = 1 << 28
"""Bytes of one frame on a link."""

LINKS_MAX = 256
"""Links that a worker keeps at a time; each gateway has one."""

UNPROVED_LINKS_MAX = 64
"""Links to a worker whose gateways have not proved the fleet's secret yet."""

PROOF_TIMEOUT_S = 5.0
"""How long a gateway may take to prove the fleet's secret."""

PIPELINE_MAX = 256
"""Requests of one connection that are read but not yet answered, beyond those of one read of the socket."""

BODY_RATE_MIN = 1 << 14
"""Bytes a second that buy a request's body more time than `--body-timeout-s`."""

GRPC_CALLS_MAX = 1024
"""Calls over gRPC at a time, open streams among them; each takes a thread, which mostly sleeps."""

GRPC_PING_INTERVAL_S = 5.0
"""How often a client may ping a gRPC connection on which nothing happens."""

LARGE_BODY_BYTES = 1 << 18
"""A JSON body larger than this is decoded in a process of its own: this many bytes take milliseconds."""

MODELS_MAX = 256
"""Models that one worker serves at a time, each version counted."""

REPOSITORY_FILES_MAX = 100_000
"""Files in a folder of models."""

BODIES_BYTES_MAX = 1 << 30
"""Bytes of such bodies that a server holds at a time, from their arrival until they are decoded."""

DECODER_IDLE_S = 30.0
"""How long the process that decodes large bodies stays without work."""

BEAT_INTERVAL_S = 0.5
"""How often a child tells `up` how it is."""

BEAT_SILENCE_MAX_S = 15.0
"""How long a child that has been ready may say nothing before `up` kills it. Generous: a machine that swaps
must not look like a hang, and the gateway has long since moved the requests away."""

START_SILENCE_MAX_S = 600.0
"""The same for a child that is still loading its model, which may keep its loop busy."""

UNHEALTHY_MAX_S = 30.0
"""How long a worker may call itself unhealthy (a run past the hang limit) before `up` restarts it."""

RESTART_BACKOFF_FIRST_S = 0.2
"""The wait before the first restart; it doubles with every further one."""

RESTART_BACKOFF_MAX_S = 10.0
"""The longest wait before a restart."""

RESTART_GOOD_LIFE_S = 60.0
"""A child that lived this long, ready, starts with the first back-off again."""

CRASH_LOOP_DEATHS = 5
"""So many deaths within CRASH_LOOP_WINDOW_S, and `up` gives the child up."""

CRASH_LOOP_WINDOW_S = 60.0
"""The time within which CRASH_LOOP_DEATHS are counted."""

ROLL_WAIT_MAX_S = 600.0
"""How long a rolling restart waits for one step: a new process that serves, or the others to serve again."""

ORPHAN_GRACE_S = 5.0
"""How much longer than its drain a child whose `up` is gone may take before it ends itself."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the table in docs/configuration.md."""

    name: str
    value: float
    unit: str
    reached: str


LIMITS = (
    Limit("Elements of one tensor", TENSOR_ELEMENTS_MAX, "elements", "413"),
    Limit("One frame on a link", FRAME_BYTES_MAX, "bytes", "the link is closed and made again"),
    Limit("Links to one worker", LINKS_MAX, "links", "503 to the gateway, which comes again"),
    Limit(
        "Links without their proof of the fleet's secret",
        UNPROVED_LINKS_MAX,
        "links",
        "503 to the gateway, which comes again",
    ),
    Limit("Time to prove the fleet's secret", PROOF_TIMEOUT_S, "s", "the link is closed"),
    Limit(
        "Unanswered requests of one connection",
        PIPELINE_MAX,
        "requests",
        "it is not read from until half are answered",
    ),
    Limit("Calls over gRPC at a time, open streams included", GRPC_CALLS_MAX, "calls", "RESOURCE_EXHAUSTED"),
    Limit(
        "Unanswered requests of one gRPC stream",
        PIPELINE_MAX,
        "requests",
        "it is not read from until one is answered",
    ),
    Limit(
        "Time between pings on an idle gRPC connection", GRPC_PING_INTERVAL_S, "s", "the connection is closed"
    ),
    Limit("Models of one worker, each version counted", MODELS_MAX, "models", "the others are unavailable"),
    Limit(
        "Files in a folder of models",
        REPOSITORY_FILES_MAX,
        "files",
        "exit status 2; later: what is loaded keeps serving",
    ),
    Limit("Rate of a body beyond its time-out", BODY_RATE_MIN, "bytes/s", "408"),
    Limit(
        "A JSON body that is decoded at once", LARGE_BODY_BYTES, "bytes", "a process of its own decodes it"
    ),
    Limit(
        "Large bodies that wait to be decoded",
        BODIES_BYTES_MAX,
        "bytes",
        "429 with Retry-After, and the connection is closed",
    ),
    Limit("Idle time of the process that decodes large bodies", DECODER_IDLE_S, "s", "it ends"),
    Limit("Silence of a running child of `up`", BEAT_SILENCE_MAX_S, "s", "it is killed and started again"),
    Limit("Silence of a starting child of `up`", START_SILENCE_MAX_S, "s", "it is killed and started again"),
    Limit("A worker of `up` unhealthy", UNHEALTHY_MAX_S, "s", "it is killed and started again"),
    Limit("First wait before a restart", RESTART_BACKOFF_FIRST_S, "s", "doubles with each further restart"),
    Limit("Longest wait before a restart", RESTART_BACKOFF_MAX_S, "s", "stays there"),
    Limit("A good life", RESTART_GOOD_LIFE_S, "s", "the waits start small again"),
    Limit(
        f"Deaths of a child of `up` within {CRASH_LOOP_WINDOW_S:g} s",
        CRASH_LOOP_DEATHS,
        "deaths",
        "it is given up with one line; the rest goes on",
    ),
    Limit(
        "One step of a rolling restart",
        ROLL_WAIT_MAX_S,
        "s",
        "the restart ends with one line; what serves keeps serving",
    ),
    Limit("A child's stay after `up` is gone", ORPHAN_GRACE_S, "s beyond its drain", "it ends at once"),
)
"""All of the above, with what happens when they are reached."""

FLAG_LIMITS = {
    "max_batch": "the run is cut; the rest is in the next one",
    "batch_timeout_ms": "the run is cut with what is there",
    "cache_capacity": "the answer unused for longest is forgotten",
    "cache_mb": "the answers unused for longest are forgotten",
    "run_timeout_s": "the worker counts as hung: its requests move to others, it gets no new ones",
    "max_queue": "429 with Retry-After; another worker is tried first where the retry budget allows",
    "max_wait_ms": "429 with Retry-After; another worker is tried first where the retry budget allows",
    "request_timeout_ms": "504; what was not started is not started",
    "failure_threshold": "the circuit opens: the worker gets nothing",
    "circuit_timeout_s": "one trial request at a time is let through",
    "hang_timeout_s": "the worker's requests move to others, and its link is made anew",
    "credit_items": "the next worker of the ring is taken; 429 where none has room",
    "credit_mb": "the next worker of the ring is taken; 429 where none has room",
    "max_body_mb": "413, refused from its header where it has one",
    "max_connections": "503, and the connection is closed",
    "max_header_kb": "431, and the connection is closed",
    "header_timeout_s": "408, and the connection is closed",
    "body_timeout_s": "408, and the connection is closed",
    "keep_alive_s": "the idle connection is closed",
    "drain_grace_s": "the listener closes",
    "drain_timeout_s": "what is left gets 503, and the exit status is 1",
}
"""The flags that are limits, with what happens when they are reached."""
