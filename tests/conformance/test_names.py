"""Names of other people's tables, as bad as they come, are names and nothing else. Holds for every platform."""

import pytest

from rolevend.policy.mask import Hash
from tests.conformance.bench import own, profile, quoted, shape, vended
from tests.conformance.protocol import Bench
from tests.support.hostile_names import NAMES


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(bench: Bench, name: str):
    schema = bench.schema(f" {name}"[:45])
    table = bench.table([(name, "text"), ("ssn", "text")], [("EU", "x"), ("US", "y")], name=name, schema=schema)
    of = profile(shape(table, own(table, name, name), masks={"ssn": Hash()}, view=name))

    _, credential = vended(bench.platform, of, **{name: ["EU"]})

    assert bench.log_in(credential).rows(f"SELECT {quoted(name)} FROM {quoted(name)}") == [("EU",)]
    assert table.id not in {each.table for each in bench.platform.drift()}
    bench.unguard(table.id)
    assert table.id in {each.table for each in bench.platform.drift()}
    bench.guard(table.id)
    bench.platform_of(bench.platform._cluster).ensure(of)  # type: ignore[attr-defined]
    assert table.id not in {each.table for each in bench.platform.drift()}
