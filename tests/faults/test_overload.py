"""Under more load than it can carry the fleet answers what it accepts and turns the rest away at once."""

from pathlib import Path

import pytest

from tests.faults.overload import RUN_S, overload
from tests.integration.servers import Servers
from tests.support import models

pytestmark = pytest.mark.alone

MAX_WAIT_S = 0.5


@pytest.mark.timeout(120)
def test_what_is_too_much_is_turned_away_and_what_is_accepted_is_answered(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", RUN_S)
    with Servers(tmp_path) as servers:
        (outcome,) = overload(servers, model, [10.0], f"{MAX_WAIT_S * 1000:.0f}", 2.0)
    assert (outcome.tally.lost, outcome.tally.wrong, outcome.late_share) == (0, 0, 0.0)
    assert set(outcome.tally.refused) == {429}
    assert outcome.told_when
    assert outcome.tally.refused[429] > outcome.tally.right
    # Generous bounds: how well the wait is foretold on a quiet machine is for `make faults` to say.
    assert outcome.turned_away_p50_s < outcome.accepted_p99_s / 4
    assert outcome.growth_mb < 32
