"""The manual pages: what each command does, its arguments, examples and exit status."""

from __future__ import annotations

from ringserve.console.manual import Page

EPILOG = "`ringserve COMMAND --help` is that command's manual page. To begin: `ringserve up`."

_SERVER_ENDS = (
    ("0", "Stopped by SIGTERM or Ctrl-C, and all accepted work was answered."),
    ("1", "It was not all answered within --drain-timeout-s, or the server failed."),
    ("2", "A wrong flag, value or file, or a port already taken: one line says which and what mends it."),
)

WORKER = Page(
    about="""\
Loads an ONNX model and serves it on PORT: over HTTP to people, and over links to gateways. Equal
inputs are computed once and remembered; different ones that arrive together share a run where that
is proved to change no answer.

Prints one line to standard error when the model is loaded and warm. SIGTERM and Ctrl-C drain it.
""",
    arguments=(
        ("PORT", "The HTTP port; 0 takes a free one."),
        ("NAME", "What this worker calls itself in answers and statistics, such as worker_1."),
        (
            "MODEL",
            "A file, after which the model is named, or a folder of models (see docs/repository.md).",
        ),
    ),
    examples=(
        ("serve a model on port 8001", "ringserve worker 8001 worker_1 model.onnx"),
        ("two models of a folder", "ringserve worker 8001 worker_1 models/ --models cats,dogs"),
        (
            "bigger batches, no cache",
            "ringserve worker 8001 worker_1 model.onnx --max-batch 64 --cache-capacity 0",
        ),
        ("how is it?", "curl http://127.0.0.1:8001/health"),
    ),
    ends=_SERVER_ENDS,
)

GATEWAY = Page(
    about="""\
Takes requests and hands each to the worker that its input belongs to on a consistent-hash ring, so
that this worker's cache knows it. A worker that fails is left out by a circuit breaker, and its
requests go to the next on the ring.

All gateways of a fleet must name the same workers in the same words. Prints one line to standard
error when the first worker is up; until then it answers 503. SIGTERM and Ctrl-C drain it.
""",
    arguments=(("WORKER", "A worker's HOST:PORT; one or more. IPv6 in brackets: [::1]:8001."),),
    examples=(
        ("three workers on this machine", "ringserve gateway localhost:8001 localhost:8002 localhost:8003"),
        ("open to the network", "ringserve gateway 10.0.0.5:8001 10.0.0.6:8001 --host 0.0.0.0"),
        ("who is up?", "curl http://127.0.0.1:8000/stats"),
    ),
    ends=_SERVER_ENDS,
)

UP = Page(
    about="""\
Starts workers and gateways on this machine and looks after them: what dies or hangs is started
again, after a wait that doubles; what dies again and again is given up, and the rest goes on.
Nothing is left behind, even where this command itself is killed.

All gateways share one listening socket, which this command holds: while one is started again, new
connections go to the others, or wait. Takes the flags of workers and gateway and hands them on.

Ctrl-C or SIGTERM drains the gateways, then the workers; a second one kills them. SIGHUP does the same
where there is a terminal (it was closed); without one it renews all processes, as `ringserve restart`.
""",
    arguments=(
        ("MODEL", "A file, or a folder of models; without it, the bundled model of handwritten digits."),
    ),
    examples=(
        ("try it", "ringserve up"),
        ("a model of your own on five workers", "ringserve up model.onnx --workers 5"),
        ("a folder of models, looked at every five seconds", "ringserve up models/ --model-control poll"),
        ("two gateways on one port", "ringserve up model.onnx --gateways 2"),
        ("a new model file under the same name, without a pause", "ringserve restart"),
        ("settings from a file", "ringserve up model.onnx --config ringserve.toml"),
    ),
    ends=(
        ("0", "Stopped on request, and everything ended well."),
        ("1", "The last gateway or worker was given up, or something had to be killed when stopping."),
        (
            "2",
            "A wrong flag, value or model, or a port already taken: one line says which and what mends it.",
        ),
    ),
)

RESTART = Page(
    about="""\
Asks the `ringserve up` of this port to renew its processes one after another, under load: each worker
answers what it has accepted and ends, and the next one's turn comes when its successor is ready and every
gateway has a link to it; then each gateway, whose successor starts before it ends. Accepted requests
are answered; keep-alive connections are closed with an answer.

The new processes load the model file and the program anew; their flags stay, and `up` itself stays. A
worker's successor needs its port, so a fleet of one worker answers 503 until that is ready. Where a new
process does not become ready the restart ends, and the rest keeps serving. Interrupting this command
does not stop the restart. Only the user who runs `up` can ask.
""",
    examples=(
        ("a new model file was put in place", "ringserve restart"),
        ("the fleet on another port", "ringserve restart --port 9000"),
        ("the same by a signal, where `up` has no terminal", "kill -HUP PID"),
    ),
    ends=(
        ("0", "All processes are new."),
        ("1", "The restart ended early: one line says why."),
        ("2", "A wrong flag, or no `ringserve up` of this user on that port."),
    ),
)

KEY = Page(
    about="""\
Makes a random API key and prints it to standard output, once: it is kept nowhere. The line that lets it in,
with the key's hash, goes to the file of --api-keys, which --add does; else it is printed to standard error.

A running server reads the file again within a second or two of a change. To take a key back, take out its
line; a label may have several lines, so that a key can be replaced without a gap.
""",
    arguments=(
        ("LABEL", "Whose key it is, as logs and metrics shall call it: letters, digits, `_`, `.`, `-`."),
    ),
    examples=(
        ("a key for the shop", "ringserve key shop --add keys.txt"),
        ("serve those who have one", "ringserve up --api-keys keys.txt"),
        ("ask with it", 'curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8000/stats'),
    ),
    ends=(("0", "The key was made."), ("2", "No label, or a file that cannot be added to.")),
    settable=False,
)

CONFIG = Page(
    about="""\
Shows the settings that hold, with what was set by flags, environment and file, and where each came
from.
""",
    examples=(
        ("what would `up` use here?", "ringserve config --config ringserve.toml"),
        ("and a worker?", "RINGSERVE_MAX_BATCH=64 ringserve config --for worker"),
    ),
)

BENCH = Page(
    about="""\
Sends a load to a gateway and reports throughput, latencies and what each worker's cache did. The
bundled digits model gets real images; any other gets random inputs of its shape.
""",
    examples=(
        ("a quick look", "ringserve bench"),
        ("what does the cache bring?", "ringserve bench --cache-test --requests 100"),
        ("ten thousand requests from fifty threads", "ringserve bench --requests 10000 --threads 50"),
        (
            "workers elsewhere",
            "ringserve bench --gateway http://a:8000 --workers http://b:8001 http://c:8001",
        ),
    ),
    ends=(
        ("0", "Every request succeeded."),
        ("1", "Some failed."),
        ("2", "A wrong flag, or no gateway there."),
    ),
    settable=False,
)

DIAGNOSE = Page(
    about="""\
Checks a running fleet in six steps and says, for each that fails, the likely cause and the mend.
""",
    examples=(
        ("the fleet of `ringserve up`", "ringserve diagnose"),
        ("another", "ringserve diagnose --gateway http://a:8000 --workers http://b:8001 http://c:8001"),
    ),
    ends=(("0", "All six hold."), ("1", "One does not."), ("2", "A wrong flag.")),
    settable=False,
)
