"""The last two checks: one inference asked of each worker, and the same one through the gateway."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from math import isclose

from ringserve.models.digits import held_out
from ringserve.tools import mends
from ringserve.tools.findings import Fault, Finding, Verdict, finding, follows
from ringserve.tools.http_caller import Caller, CallError, Reply
from ringserve.tools.inputs import takes_digits
from ringserve.tools.json_reply import object_in, sentence_of
from ringserve.tools.served_model import DIGITS, ServedModel, random_item
from ringserve.tools.survey import Server, Survey

Answers = dict[str, list[object]]

_DIRECT, _END_TO_END = "Direct inference test", "End-to-end inference test"
_HTTP_OK = 200
_HTTP_UNAVAILABLE = 503
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5
_CAUSES = {
    400: "the input does not fit the model it serves",
    429: "it has more to do than it can",
    500: "the model itself fails on this input",
    504: "the answer took longer than the request's deadline",
}


def check_direct(seen: Survey) -> tuple[Finding, Answers]:
    """Check 5: does each worker answer, and do all give the same answer. Its answers serve check 6."""
    model = _model_of(seen)
    if model.input is None:
        return Finding(_DIRECT, Verdict.CANNOT_TELL, _undescribed(model)), {}
    answers: Answers = {}
    faults = []
    for server in seen.workers:
        outcome = _ask(server, seen, _body(model))
        if isinstance(outcome, Fault):
            if not (outcome.seen.startswith("404") and _carries_others(server)):
                faults.append(outcome)
        else:
            answers[str(server.address)] = outcome
    faults += _disagreement(answers, seen)
    told = f"{len(answers)} of {len(seen.workers)} answer an input of {model.input.elements:,} values"
    return finding(_DIRECT, told, faults), answers


def check_end_to_end(seen: Survey, direct: Answers) -> Finding:
    """Check 6: does the gateway answer, and as the workers do."""
    model = _model_of(seen)
    if model.input is None:
        return Finding(_END_TO_END, Verdict.CANNOT_TELL, _undescribed(model))
    outcome = _ask(seen.gateway, seen, _body(model))
    if isinstance(outcome, Fault):
        return finding(_END_TO_END, "no answer through the gateway", [outcome])
    told = f"{len(outcome):,} values through the gateway"
    if not direct:
        return finding(_END_TO_END, f"{told}; no direct answer to compare them with", [])
    if any(_same(outcome, answer) for answer in direct.values()):
        return finding(_END_TO_END, f"{told}, the same as asked directly", [])
    cause = "the gateway's workers serve another model than these"
    mend = f"curl {seen.gateway.address.url}/stats   (shows its workers; give them as --workers)"
    return finding(_END_TO_END, told, [Fault(str(seen.gateway.address), "differs from all", cause, mend)])


def _carries_others(server: Server) -> bool:
    """Whether it is a worker of ours, which need not have every model of its fleet."""
    return server.model is not None and server.role == "worker"


def _model_of(seen: Survey) -> ServedModel:
    return next((server.model for server in seen.servers if server.model is not None), DIGITS)


def _undescribed(model: ServedModel) -> str:
    return f"cannot tell: /infer cannot describe the input of the model {model.name}"


def _body(model: ServedModel) -> bytes:
    assert model.input is not None
    if takes_digits(model.input):
        item: Sequence[object] = held_out()[0][0].tolist()
    else:
        item = random_item(model.input, random.Random(0))  # noqa: S311 - data, no secrets
    named = {"model": model.input.model} if model.input.model else {}
    return json.dumps({"request_id": "diagnose", **named, "input_data": item}).encode()


def _ask(server: Server, seen: Survey, body: bytes) -> list[object] | Fault:
    address = str(server.address)
    if server.port_error is not None:
        return follows(address, "takes no connections", 2)
    if server.says is None:
        return follows(address, f"no {server.role} answers there", _own_check(server))
    with Caller(server.address, seen.timeout_s) as caller:
        try:
            reply = caller.post("/infer", body)
        except CallError as error:
            cause = "a run of the model hangs or takes longer than that, or the process ended"
            return Fault(address, str(error), cause, mends.restart(server, seen))
    return _answer_in(server, seen, reply)


def _answer_in(server: Server, seen: Survey, reply: Reply) -> list[object] | Fault:
    answer = object_in(reply)
    output = answer.get("output_data") if answer is not None and reply.status == _HTTP_OK else None
    if isinstance(output, list):
        return output
    if reply.status == _HTTP_UNAVAILABLE:
        return follows(str(server.address), f"{reply.status}: {sentence_of(reply)}", _own_check(server))
    cause = _CAUSES.get(reply.status, "it answers as no server of ringserve does")
    return Fault(
        str(server.address), f"{reply.status}: {sentence_of(reply)}", cause, _mend(server, seen, reply)
    )


def _own_check(server: Server) -> int:
    """Give the check that tells why a server takes no work."""
    return 4 if server.role == "gateway" else 3


def _mend(server: Server, seen: Survey, reply: Reply) -> str:
    if reply.status in {400, 500}:
        return f"curl {server.address.url}/model   (shows what it serves and wants)"
    if reply.status in {429, 504}:
        return "wait until the load is less, or add workers; then: ringserve diagnose"
    return mends.restart(server, seen)


def _disagreement(answers: Answers, seen: Survey) -> list[Fault]:
    """Blame the workers that answer differently from the first one."""
    if not answers:
        return []
    (first, expected), *others = answers.items()
    cause = "the workers serve different models"
    restarts = {str(server.address): mends.restart(server, seen) for server in seen.workers}
    return [
        Fault(
            address,
            f"another answer than {first}",
            cause,
            f"start both with the same MODEL: {restarts[address]}",
        )
        for address, answer in others
        if not _same(expected, answer)
    ]


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(map(_close, one, other))


def _close(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return one == other
