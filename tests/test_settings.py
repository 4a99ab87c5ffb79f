from dataclasses import FrozenInstanceError, fields

import pytest

from ringserve.limits import LIMITS
from ringserve.settings import COMMANDS, GROUPS, MIB, Settings, default_of, defaults_for, fields_for, flag_of

CONTRACT = {
    "worker": {
        "cache_capacity": 1000,
        "max_batch": 32,
        "batch_timeout_ms": 20,
        "batch_policy": "eager",
        "batching": "auto",
        "provider": "auto",
        "max_queue": 1024,
        "max_wait_ms": "auto",
        "run_timeout_s": 0,
        "max_body_mb": 64,
        "host": "127.0.0.1",
        "grpc_port": 0,
        "drain_grace_s": 0,
        "drain_timeout_s": 30,
    },
    "gateway": {
        "port": 8000,
        "host": "127.0.0.1",
        "virtual_nodes": 150,
        "failure_threshold": 5,
        "success_threshold": 2,
        "circuit_timeout_s": 30,
        "hang_timeout_s": 2,
        "max_body_mb": 64,
        "grpc_port": 9000,
        "drain_grace_s": 0,
        "drain_timeout_s": 30,
    },
    "up": {"workers": 3, "base_port": 8001, "port": 8000, "grpc_port": 9000, "worker_host": "127.0.0.1"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_defaults_are_those_people_rely_on(command: str) -> None:
    taken = {spec.name: default_of(spec, command) for spec in fields_for(command)}
    assert CONTRACT[command].items() <= taken.items()


def test_up_takes_the_flags_of_workers_and_gateway() -> None:
    names = {command: {spec.name for spec in fields_for(command)} for command in COMMANDS}
    assert names["up"] >= (names["worker"] | names["gateway"]) - {"workers_here"}


def test_each_setting_stands_under_one_heading_and_belongs_to_a_command() -> None:
    for spec in fields(Settings):
        flag = flag_of(spec)
        assert flag.group in GROUPS
        assert flag.commands
        assert set(flag.commands) <= set(COMMANDS)
    assert {spec.name for spec in fields_for("config")} == {spec.name for spec in fields(Settings)}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_megabytes_become_bytes() -> None:
    settings = Settings(max_body_mb=0.5, cache_mb=2.0, credit_mb=3.0)
    assert (settings.max_body_bytes, settings.cache_bytes, settings.credit_bytes) == (
        MIB // 2,
        2 * MIB,
        3 * MIB,
    )


def test_the_defaults_of_a_command_make_settings() -> None:
    assert defaults_for("gateway") == Settings(grpc_port=9000)
    assert defaults_for("worker") == Settings()


def test_each_limit_has_a_name_of_its_own() -> None:
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)
