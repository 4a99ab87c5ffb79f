"""Click commands whose `--help` reads like a manual page, and whose mistakes are one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import click

from ringserve.console.resolve import flag_name
from ringserve.errors import UsageError
from ringserve.settings import GROUPS, default_of, fields_for, flag_of
from ringserve.values import kind_of, plain

_OTHER = "Other"
_STATUS_USAGE = 2
_STATUS_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The parts of a manual page that are not flags.

    Attributes:
        about: What the command does; a blank line between paragraphs.
        arguments: Name and meaning of each positional argument.
        examples: A comment and the command line it explains.
        ends: Exit status and its meaning.
        settable: Whether its flags can be set by the environment and a file as well.
    """

    about: str
    arguments: tuple[tuple[str, str], ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    ends: tuple[tuple[str, str], ...] = ()
    settable: bool = True


class GroupedOption(click.Option):
    """An option that stands under a heading."""

    def __init__(self, names: Sequence[str], *, group: str = _OTHER, **more: object) -> None:
        """Take what `click.Option` takes, and the heading."""
        super().__init__(names, **more)  # type: ignore[arg-type]
        self.group = group

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Give the names and the text alone: the text already says default and unit."""
        record = super().get_help_record(ctx)
        return (record[0], self.help or "") if record is not None else None


class ManualCommand(click.Command):
    """A command with a manual page; its options may take several words each (`--workers A B`)."""

    def __init__(self, *args: object, page: Page, many: Sequence[str] = (), **more: object) -> None:
        """Take what `click.Command` takes, the page, and the options that take several words."""
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.page = page
        self.many = tuple(many)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write `--workers A B` as `--workers A --workers B` before click sees it."""
        return super().parse_args(ctx, spread(args, self.many))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the page: usage, about, arguments, flags by group, environment, examples, exit status."""
        self.format_usage(ctx, formatter)
        for paragraph in self.page.about.strip().split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(paragraph)
        if self.page.arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(self.page.arguments)
        self._format_groups(ctx, formatter)
        if self.page.settable:
            _format_sources(formatter)
        if self.page.examples:
            with formatter.section("Examples"):
                for comment, line in self.page.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}# {comment}\n")
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        if self.page.ends:
            with formatter.section("Exit status"):
                formatter.write_dl(self.page.ends)

    def _format_groups(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, _OTHER)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                rows.setdefault(getattr(parameter, "group", _OTHER), []).append(record)
        for group, records in rows.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def setting_options(command: str) -> list[click.Parameter]:
    """Make the options of a command from the settings; texts are kept, `resolve` turns them into values."""
    options: list[click.Parameter] = []
    for spec in fields_for(command):
        flag = flag_of(spec)
        default = plain(default_of(spec, "up" if command == "config" else command))
        unit = f" {flag.unit}" if flag.unit not in {"", "port"} and default != "auto" else ""
        text = f"{flag.help} [default: {default}{unit}]"
        options.append(
            GroupedOption(
                [flag_name(spec.name), spec.name], group=flag.group, metavar=_metavar(spec.name), help=text
            )
        )
    options.append(GroupedOption(["--config"], metavar="FILE", help="A TOML file with settings."))
    return options


def spread(args: Sequence[str], many: Sequence[str]) -> list[str]:
    """Repeat an option's name before each further word that follows it."""
    out: list[str] = []
    current = ""
    for index, word in enumerate(args):
        if word.startswith("-"):
            current = word if word in many else ""
        elif current and args[index - 1] != current:
            out.append(current)
        out.append(word)
    return out


def run(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process: mistakes are one line on standard error and status 2."""
    try:
        status = command.main(args=arguments, prog_name="ringserve", standalone_mode=False)
    except click.ClickException as error:
        status = _complain(error.ctx if isinstance(error, click.UsageError) else None, _sentence(error))
    except UsageError as error:
        status = _complain(None, str(error))
    except (KeyboardInterrupt, click.Abort):
        status = _STATUS_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`); what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _complain(context: click.Context | None, sentence: str) -> int:
    path = context.command_path if context is not None else "ringserve"
    print(f"{path}: {' '.join(sentence.split())}", file=sys.stderr)  # noqa: T201
    return _STATUS_USAGE


def _sentence(error: click.ClickException) -> str:
    """Word click's own mistakes; each ends with where to look."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "ringserve"
    if (
        isinstance(error, click.MissingParameter)
        and isinstance(error.param, click.Argument)
        and context is not None
    ):
        usage = " ".join([path, *context.command.collect_usage_pieces(context)])
        return f"{error.param.human_readable_name} is missing; usage: {usage}"
    text = error.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; see `{path} --help`"


def _metavar(name: str) -> str:
    spec = next(spec for spec in fields_for("config") if spec.name == name)
    flag = flag_of(spec)
    if flag.choices:
        return "|".join(flag.choices)
    if flag.unit == "port":
        return "PORT"
    if kind_of(spec) is str:
        return "FILE" if flag.path else "HOST" if name.endswith("host") else "NAME"
    return "auto|N" if flag.auto else "N"


def _format_sources(formatter: click.HelpFormatter) -> None:
    with formatter.section("Environment and files"):
        formatter.write_text(
            "Every flag but --config can also be set by an environment variable (--max-batch by "
            "RINGSERVE_MAX_BATCH) and by a top-level key of the TOML file that --config or RINGSERVE_CONFIG "
            "names (max-batch or max_batch). A flag beats the environment, which beats the file, which beats "
            "the default. `ringserve config` shows what holds and why."
        )
