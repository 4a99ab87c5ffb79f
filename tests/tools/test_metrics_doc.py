import re

import pytest

from ringserve.observe.catalogue.metric import Kind
from ringserve.observe.catalogue.roles import BY_ROLE
from ringserve.tools import metrics_doc

KINDS = {metric.name: metric.kind for metrics in BY_ROLE.values() for metric in metrics}
LABELS = {metric.name: set(metric.labels) for metrics in BY_ROLE.values() for metric in metrics}


def test_every_metric_has_a_row() -> None:
    document = metrics_doc.document()
    assert [name for name in KINDS if f"| `{name}` | {KINDS[name].value} |" not in document] == []


@pytest.mark.parametrize("query", [query for _, query in metrics_doc.WATCHED])
def test_a_query_asks_for_what_there_is(query: str) -> None:
    """A histogram by its buckets, a counter by its rate unless the books are balanced, labels it has."""
    assert "|" not in query
    for name, labels in re.findall(r"(ringserve_[a-z_]+)(\{[^}]*\})?", query):
        bare = name.removesuffix("_bucket")
        assert KINDS[bare] is Kind.HISTOGRAM if bare != name else KINDS[name] is not Kind.HISTOGRAM
        assert set(re.findall(r"(\w+)=", labels)) - {"job"} <= LABELS[bare]
        if KINDS[bare] is Kind.COUNTER and "pending" not in query:
            assert f"rate({name}" in query
