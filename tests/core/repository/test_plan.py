from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ringserve.core.repository.layout import FoundModel, FoundVersion, find_models
from ringserve.core.repository.options import ModelOptions
from ringserve.core.repository.plan import Candidate, IndexRow, Load, Plan, Unload


def candidate(
    name: str, options: ModelOptions | None = None, problem: str = "", **versions: int
) -> Candidate:
    """`v2=7` is version 2, its file in state 7."""
    found = tuple(
        FoundVersion(int(key[1:]), f"{name}/{key[1:]}/model.onnx", ((f"{name}/model", (state, 0)),))
        for key, state in sorted(versions.items())
    )
    model = FoundModel(name, found, f"{name}/config.toml")
    return Candidate(model, options or ModelOptions(), problem)


def look(plan: Plan, *candidates: Candidate) -> None:
    plan.look({one.found.name: one for one in candidates})


def look_again(plan: Plan, *candidates: Candidate) -> None:
    plan.look_again({one.found.name: one for one in candidates})


def run(plan: Plan, broken: tuple[int, ...] = ()) -> list[str]:
    """Do all steps and return them; what is in a broken state does not load."""
    done = []
    while (step := plan.next_step()) is not None:
        wanted = step.wanted
        state = wanted.found.files[0][1][0]
        label = f"{wanted.name}{wanted.version}:{state}"
        if isinstance(step, Unload):
            done.append("-" + label)
            plan.unloaded(wanted)
        elif state in broken:
            done.append("!" + label)
            plan.failed(wanted, f"{label} is broken")
        else:
            done.append("+" + label)
            plan.loaded(wanted)
    return done


def test_the_latest_version_is_loaded_of_each_model() -> None:
    plan = Plan()
    look(plan, candidate("b", v1=0), candidate("a", v2=0, v3=0))
    assert run(plan) == ["+a3:0", "+b1:0"]
    assert plan.rows() == [
        IndexRow("a", "2", "UNAVAILABLE", "version 3 is served"),
        IndexRow("a", "3", "READY"),
        IndexRow("b", "1", "READY"),
    ]


def test_a_new_version_serves_before_the_old_one_goes() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0))
    run(plan)
    look(plan, candidate("a", v1=0, v2=0))
    assert run(plan) == ["+a2:0", "-a1:0"]


def test_versions_that_are_named_serve_side_by_side_and_a_missing_one_is_told() -> None:
    plan = Plan()
    look(plan, candidate("a", ModelOptions(versions=(1, 3, 4)), v1=0, v2=0, v3=0))
    assert run(plan) == ["+a1:0", "+a3:0"]
    assert plan.rows()[-1] == IndexRow("a", "4", "UNAVAILABLE", "there is no such version in the folder")
    look(plan, candidate("a", ModelOptions(versions="all"), v1=0, v2=0, v3=0))
    assert run(plan) == ["+a1:0", "+a2:0", "+a3:0"]  # loaded anew: options are part of what is served


def test_a_broken_new_version_leaves_the_old_one_and_is_not_tried_again_before_it_changes() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0))
    run(plan)
    look(plan, candidate("a", v1=0, v2=9))
    assert run(plan, broken=(9,)) == ["!a2:9"]
    assert plan.rows() == [
        IndexRow("a", "1", "READY"),
        IndexRow("a", "2", "UNAVAILABLE", "a2:9 is broken"),
    ]
    look(plan, candidate("a", v1=0, v2=9))
    assert run(plan, broken=(9,)) == []
    look(plan, candidate("a", v1=0, v2=5))
    assert run(plan, broken=(9,)) == ["+a2:5", "-a1:0"]


def test_a_worker_that_begins_with_a_broken_version_serves_the_one_before() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0, v2=9))
    assert run(plan, broken=(9,)) == ["!a2:9", "+a1:0"]


def test_a_file_replaced_by_a_broken_one_leaves_what_was_loaded() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0))
    run(plan)
    look(plan, candidate("a", v1=9))
    assert run(plan, broken=(9,)) == ["!a1:9"]
    assert plan.rows() == [IndexRow("a", "1", "READY", "what was loaded before still serves: a1:9 is broken")]
    assert plan.trouble_with("a") == "a1:9 is broken"


def test_what_cannot_be_told_leaves_everything_as_it_is() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0), candidate("b", problem="b is unclear"))
    assert run(plan) == ["+a1:0"]
    look(plan, candidate("a", problem="a is unclear", v2=0), candidate("b", problem="b is unclear"))
    assert run(plan) == []
    assert plan.rows() == [
        IndexRow("a", "1", "READY", "a is unclear"),
        IndexRow("a", "2", "UNAVAILABLE", "version 1 is served"),
        IndexRow("b", "", "UNAVAILABLE", "b is unclear"),
    ]
    assert plan.trouble_with("b") == "b is unclear"


def test_what_is_unloaded_stays_so_until_it_is_asked_for() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0), candidate("b", v1=0))
    run(plan)
    plan.unload("a")
    assert run(plan) == ["-a1:0"]
    look(plan, candidate("a", v1=1), candidate("b", v1=0))
    assert run(plan) == []
    assert plan.rows()[0] == IndexRow("a", "1", "UNAVAILABLE", "unloaded")
    plan.load("a")
    assert run(plan) == ["+a1:1"]


def test_asking_for_a_model_tries_again_what_failed() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=9))
    assert run(plan, broken=(9,)) == ["!a1:9"]
    plan.load("a")
    assert run(plan) == ["+a1:9"]
    assert plan.trouble_with("a") == ""


def test_a_look_at_one_model_sees_no_other() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0), candidate("b", v1=0))
    run(plan)
    plan.look({"a": candidate("a", v1=1), "b": candidate("b", v1=1)}, only="a")
    assert run(plan) == ["+a1:1"]
    plan.look({}, only="a")
    assert run(plan) == ["-a1:1"]
    assert not plan.knows("a")
    assert plan.knows("b")


def test_only_what_a_worker_carries_is_looked_at() -> None:
    plan = Plan(frozenset({"b"}))
    look(plan, candidate("a", v1=0), candidate("b", v1=0))
    assert run(plan) == ["+b1:0"]
    assert [row.name for row in plan.rows()] == ["b"]


def test_a_change_counts_when_two_looks_saw_the_same() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0))
    run(plan)
    look_again(plan, candidate("a", v1=1))
    assert run(plan) == []
    look_again(plan, candidate("a", v1=2))
    assert run(plan) == []
    look_again(plan, candidate("a", v1=2))
    assert run(plan) == ["+a1:2"]
    look_again(plan)
    look_again(plan, candidate("a", v1=2))  # it was replaced, not removed
    look_again(plan)
    assert run(plan) == []
    look_again(plan)
    assert run(plan) == ["-a1:2"]


def test_what_is_being_loaded_says_so() -> None:
    plan = Plan()
    look(plan, candidate("a", v1=0))
    assert plan.rows() == [IndexRow("a", "1", "UNAVAILABLE")]
    assert isinstance(plan.next_step(), Load)
    assert plan.rows() == [IndexRow("a", "1", "LOADING")]


class Folder(RuleBasedStateMachine):
    """A folder that anybody changes, a plan, and what a worker then has loaded: version to state, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = Plan()
        self.folder: dict[str, dict[int, int]] = {}
        self.options: dict[str, ModelOptions] = {}
        self.broken: set[int] = set()
        self.has: dict[str, dict[int, int]] = {}
        self.off: set[str] = set()
        self.state = 0

    names = st.sampled_from(["a", "b"])
    numbers = st.integers(1, 3)

    @rule(name=names, version=numbers, works=st.booleans())
    def write(self, name: str, version: int, works: bool) -> None:
        self.state += 1
        self.folder.setdefault(name, {})[version] = self.state
        if not works:
            self.broken.add(self.state)

    @rule(name=names, version=numbers)
    def remove(self, name: str, version: int) -> None:
        self.folder.get(name, {}).pop(version, None)

    @rule(name=names, versions=st.sampled_from(["latest", "all", (1,), (2, 3)]))
    def name_versions(self, name: str, versions: str | tuple[int, ...]) -> None:
        self.options[name] = ModelOptions(versions=versions)

    @rule(name=names)
    def unload(self, name: str) -> None:
        self.plan.unload(name)
        self.off.add(name)

    @rule(name=names)
    def load(self, name: str) -> None:
        self.plan.load(name)
        self.off.discard(name)

    @rule()
    def settle(self) -> None:
        now = {
            name: candidate(
                name,
                self.options.get(name),
                "",
                **{f"v{version}": state for version, state in versions.items()},
            )
            for name, versions in self.folder.items()
            if versions
        }
        served_before = {name for name, versions in self.has.items() if versions}
        self.plan.look(now)
        for _ in range(50):
            step = self.plan.next_step()
            if step is None:
                break
            self._do(step)
            for name in served_before & set(now) - self.off:
                working = [state for state in self.folder[name].values() if state not in self.broken]
                if self.options.get(name, ModelOptions()).versions == "latest" and working:
                    assert self.has[name], f"nothing serves {name} after {step}"
        assert self.plan.next_step() is None

    def _do(self, step: Load | Unload) -> None:
        name, version = step.wanted.name, step.wanted.version
        state = step.wanted.found.files[0][1][0]
        if isinstance(step, Unload):
            assert self.has[name].pop(version) == state
            self.plan.unloaded(step.wanted)
        elif state in self.broken:
            self.plan.failed(step.wanted, "broken")
        else:
            self.has.setdefault(name, {})[version] = state
            self.plan.loaded(step.wanted)

    @precondition(lambda self: self.plan.next_step() is None)
    @invariant()
    def rows_tell_what_is_loaded(self) -> None:
        ready = {(row.name, row.version) for row in self.plan.rows() if row.state == "READY"}
        assert ready == {(name, str(version)) for name, versions in self.has.items() for version in versions}
        assert not {name for name, _ in ready} & self.off


TestFolder = Folder.TestCase


def test_the_layout_of_a_folder_is_what_a_plan_looks_at() -> None:
    found = find_models({"a.onnx": (1, 1)})
    plan = Plan()
    plan.look({name: Candidate(model, ModelOptions(), model.problem) for name, model in found.items()})
    step = plan.next_step()
    assert isinstance(step, Load)
    assert (step.wanted.name, step.wanted.version, step.wanted.found.path) == ("a", 1, "a.onnx")
