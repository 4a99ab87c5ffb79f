"""What stands at the URL that is to be benchmarked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringserve.errors import UsageError
from ringserve.tools.address import Address, address_of
from ringserve.tools.http_caller import Caller, CallError, RefusedError
from ringserve.tools.json_reply import object_in
from ringserve.tools.options import BenchOptions
from ringserve.tools.served_model import DIGITS, ModelInput, ServedModel, ask_model
from ringserve.tools.worker_stats import workers_of


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway (or a worker called directly), its model and the workers it names."""

    gateway: Address
    model: ServedModel
    model_input: ModelInput
    workers: Sequence[Address]


def look_at(options: BenchOptions) -> Target:
    """Find out what is served and by whom.

    Raises:
        UsageError: Nothing answers there, or something that is no gateway, or `/infer` cannot describe
            the model's input.
    """
    gateway = address_of(options.gateway, "--gateway")
    with Caller(gateway, options.timeout_s) as caller:
        try:
            workers = _workers_at(caller, gateway)
            model = ask_model(caller) or DIGITS
        except RefusedError as error:
            mend = "start one with `ringserve up`, or name another with --gateway URL"
            raise UsageError(f"cannot reach the gateway at {gateway.url}: {error}; {mend}") from error
        except CallError as error:
            mend = "`ringserve diagnose` says more, --gateway URL names another"
            raise UsageError(f"cannot reach the gateway at {gateway.url}: {error}; {mend}") from error
    if model.input is None:
        raise UsageError(
            f"the model {model.name} takes an input that /infer cannot describe; bench sends /infer"
        )
    return Target(gateway, model, model.input, workers)


def _workers_at(caller: Caller, gateway: Address) -> list[Address]:
    """Ask for the workers. A worker may stand there too: it names none, and is its own."""
    stats = object_in(caller.get("/stats"))
    if stats is not None and "circuit_breakers" in stats:
        return workers_of(stats, gateway)
    health = object_in(caller.get("/health"))
    if health is not None and "node_id" in health:
        return [gateway]
    raise UsageError(
        f"what answers at {gateway.url} is no ringserve gateway; name the right one with --gateway URL"
    )
