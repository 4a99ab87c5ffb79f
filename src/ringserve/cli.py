"""The commands: parse, call, print; nothing else.

Each imports what it needs when it runs, so that `ringserve --help` answers at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import click

from ringserve.console import pages
from ringserve.console.addresses import PORT_MAX, check_workers
from ringserve.console.manual import GroupedOption, ManualCommand, Page, run, setting_options
from ringserve.console.resolve import Resolved, resolve
from ringserve.errors import UsageError

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `ringserve` with the process's arguments (or the given ones) and end the process."""
    run(ringserve, arguments)


@click.group(context_settings=_HELP, invoke_without_command=True, epilog=pages.EPILOG)
@click.option("--version", is_flag=True, help="Print the version and exit.")
@click.pass_context
def ringserve(context: click.Context, version: bool) -> None:
    """Serve ONNX models from many workers behind one gateway."""
    if version:
        from importlib.metadata import version as version_of

        click.echo(f"ringserve {version_of('ringserve')}")
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


def _worker(port: str, name: str, model: str, supervisor_fd: int | None, **flags: str | None) -> int:
    resolved = _resolved("worker", flags)
    if not (port.isascii() and port.isdigit() and int(port[:6]) <= PORT_MAX):
        raise UsageError(f"PORT: expected a whole number from 0 to {PORT_MAX}, got {port!r}")
    if not name or not name.isprintable() or " " in name:
        raise UsageError(f"NAME: expected a word, such as worker_1, got {name!r}")
    from ringserve.observe.logs import set_up_logs
    from ringserve.worker.main import run_worker

    set_up_logs(resolved.settings.log_level, name)
    return run_worker(resolved.settings, int(port), name, Path(model), supervisor_fd)


def _gateway(
    workers: tuple[str, ...], supervisor_fd: int | None, listen_fd: int | None, **flags: str | None
) -> int:
    resolved = _resolved("gateway", flags)
    check_workers(workers)
    from ringserve.gateway.main import run_gateway
    from ringserve.observe.logs import set_up_logs

    set_up_logs(resolved.settings.log_level, "gateway")
    return run_gateway(resolved.settings, list(workers), supervisor_fd, listen_fd)


def _up(model: str | None, **flags: str | None) -> int:
    resolved = _resolved("up", flags)
    from ringserve.fleet.up import run_up
    from ringserve.models.digits import digits_path
    from ringserve.observe.logs import set_up_logs

    set_up_logs(resolved.settings.log_level, "up")
    return run_up(resolved.settings, Path(model) if model is not None else digits_path())


def _restart(**flags: str | None) -> int:
    resolved = _resolved("up", flags)
    from ringserve.fleet.ask_restart import ask_restart

    return ask_restart(resolved.settings.port)


def _key(label: str, add: str | None) -> int:
    from ringserve.console.new_key import show_new_key

    show_new_key(label, Path(add) if add is not None else None)
    return 0


def _config(command: str, as_json: bool, **flags: str | None) -> int:
    from ringserve.console.show_settings import show_settings

    show_settings(command, _resolved(command, flags), as_json=as_json)
    return 0


def _bench(workers: tuple[str, ...], **options: object) -> int:
    from ringserve.tools.bench import BenchOptions, run_bench

    return run_bench(BenchOptions(workers=workers, **options))  # type: ignore[arg-type]


def _diagnose(workers: tuple[str, ...], **options: object) -> int:
    from ringserve.tools.diagnose import DiagnoseOptions, run_diagnose

    found = {"workers": workers} if workers else {}
    return run_diagnose(DiagnoseOptions(**found, **options))  # type: ignore[arg-type]


def _resolved(command: str, flags: dict[str, str | None]) -> Resolved:
    config = flags.pop("config", None)
    return resolve(command, flags, os.environ, config)


def _command(
    name: str, call: Callable[..., int], help_: str, page: Page, parameters: Sequence[click.Parameter]
) -> None:
    many = ["--workers"] if name in {"bench", "diagnose"} else []
    command = ManualCommand(
        name,
        callback=call,
        short_help=help_,
        page=page,
        params=list(parameters),
        many=many,
        context_settings=_HELP,
    )
    ringserve.add_command(command)


_SUPERVISOR = click.Option(["--supervisor-fd"], type=int, hidden=True)
_LISTEN = click.Option(["--listen-fd"], type=int, hidden=True)
_WORKERS = GroupedOption(
    ["--workers"],
    multiple=True,
    metavar="URL...",
    help="The workers' URLs. [default: those the gateway names]",
)
_WORKERS_SEEN = GroupedOption(
    ["--workers"],
    multiple=True,
    metavar="URL...",
    help="The workers' URLs. [default: localhost, 8001 to 8003]",
)
_GATEWAY_URL = GroupedOption(
    ["--gateway"],
    default="http://localhost:8000",
    show_default=True,
    metavar="URL",
    help="The gateway's URL.",
)


def _number(flag: str, default: float, text: str) -> GroupedOption:
    whole = isinstance(default, int)
    kind = click.IntRange(min=1) if whole else click.FloatRange(min=0, min_open=True)
    shown = f"{text} [default: {default:g}]"
    return GroupedOption([flag], type=kind, default=default, metavar="N", help=shown)


_command(
    "worker",
    _worker,
    "Serve a model, or a folder of models, on a port.",
    pages.WORKER,
    [
        *(click.Argument([name]) for name in ("port", "name", "model")),
        _SUPERVISOR,
        *setting_options("worker"),
    ],
)
_command(
    "gateway",
    _gateway,
    "Route requests to workers.",
    pages.GATEWAY,
    [
        click.Argument(["workers"], nargs=-1, metavar="WORKER..."),
        _SUPERVISOR,
        _LISTEN,
        *setting_options("gateway"),
    ],
)
_command(
    "up",
    _up,
    "Start workers and a gateway here, and look after them.",
    pages.UP,
    [click.Argument(["model"], required=False), *setting_options("up")],
)
_command(
    "restart",
    _restart,
    "Renew the processes of a running `up`, one after another.",
    pages.RESTART,
    [option for option in setting_options("up") if option.name in {"port", "config"}],
)
_command(
    "bench",
    _bench,
    "Send a load and report how it went.",
    pages.BENCH,
    [
        _GATEWAY_URL,
        _number("--requests", 1000, "How many requests to send."),
        _number("--threads", 10, "How many client threads send them."),
        _WORKERS,
        GroupedOption(
            ["--cache-test"], is_flag=True, help="Send the same inputs twice and compare both passes."
        ),
        GroupedOption(["--no-stats"], is_flag=True, help="Leave out the workers' statistics."),
        GroupedOption(["--json", "as_json"], is_flag=True, help="Print the report as JSON."),
        _number("--timeout-s", 30.0, "How long one request may take, in seconds."),
        _number("--time-limit-s", 600.0, "How long the whole run may take, in seconds."),
        GroupedOption(["--seed"], type=int, metavar="N", help="Makes the inputs repeatable."),
    ],
)
_command(
    "diagnose",
    _diagnose,
    "Check a running fleet.",
    pages.DIAGNOSE,
    [
        _GATEWAY_URL,
        _WORKERS_SEEN,
        _number("--timeout-s", 5.0, "How long one server may take to answer, in seconds."),
    ],
)
_command(
    "key",
    _key,
    "Make an API key.",
    pages.KEY,
    [
        click.Argument(["label"]),
        GroupedOption(["--add"], metavar="FILE", help="Add the line to this file of keys."),
    ],
)
_command(
    "config",
    _config,
    "Show the settings that hold, and why.",
    pages.CONFIG,
    [
        GroupedOption(
            ["--for", "command"],
            type=click.Choice(["worker", "gateway", "up"]),
            default="up",
            help="Whose settings to show. [default: up]",
        ),
        GroupedOption(["--json", "as_json"], is_flag=True, help="Print them as JSON."),
        *setting_options("config"),
    ],
)
