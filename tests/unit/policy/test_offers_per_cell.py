"""Random offers, narrowings and votes beside random standing grants and guardrails, from the first judgement to the role, cell by cell
against an oracle that is written from the documentation."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, given, settings

from rolevend.catalog import Table
from rolevend.decision.outcome import Granted
from rolevend.policy.mask import Nullify
from rolevend.policy.requirement import RequirementOperator
from rolevend.policy.statement import Requirement
from tests.support import oracle
from tests.support.asking import NOW
from tests.support.offered import CLAIM_SECONDS, DECIDED_AFTER, OfferCase, offer_cases
from tests.support.oracle_offers import approvals, is_offered, narrowings, of_a_role
from tests.support.oracle_rows import Row
from tests.support.oracle_values import severity
from tests.support.policies import policy
from tests.support.tiers import by_tier
from tests.support.worlds import OWN_SCHEMA, SCHEMA
from tests.support.worlds import rows as rows_of

CELLS = by_tier(20_000, 1_000_000)
ROWS = 200
CASES = CELLS // 450
"""Enough: one in five has a role, of 5,200 cells. In the others nothing is approved, or the offer shows nothing."""
EVERYTHING = [
    policy(name, users=(Requirement("department", operator=operator),), schemas=frozenset({SCHEMA, OWN_SCHEMA}))
    for name, operator in (("known", RequirementOperator.EXISTS), ("unknown", RequirementOperator.DOES_NOT_EXIST))
]
"""For every user: under guardrails it shows all that they permit."""
OFTEN = ("refused", "shown", "less than the whole offer", "narrowed by people", "by several", "a second one")
REACHED = by_tier(OFTEN, (*OFTEN, "of the user", "of another request", "of another offer", "without the verb", "a no"))
Seen = Sequence[oracle.Masked | None]


def test_a_role_with_an_approval_shows_the_cells_of_standing_grants_and_of_the_offer_and_no_other():
    tally = Counter[str]()

    @settings(max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(offer_cases())
    def compare(case: OfferCase) -> None:
        tally.update(oddities(case))
        yes = approvals(case.wanted, case.offer.id, case.votes)
        role = case.vended()
        if yes is None or not is_offered(case.world, case.wanted.narrowing) or case.later >= CLAIM_SECONDS:
            tally["refused"] += 1
            assert role is None
            return
        given = narrowings(case.wanted, yes)
        for seed, table in enumerate(case.case.tables):
            rows = rows_of(table, ROWS, seed)
            shown = shown_by(role, table, case, rows)
            whole = of_a_role(case.world, [], table, rows)
            assert shown == of_a_role(case.world, given, table, rows), table.id
            tally["outside of standing grants and the offer"] += beyond(shown, whole)
            tally["beyond guardrails"] += beyond(shown, permitted(case, table, rows))
            tally["cells"] += ROWS * len(table.columns)
            tally["shown"] += sum(mask != Nullify() for cells in shown for mask in (cells or {}).values())
            tally["less than the whole offer"] += beyond(whole, shown)
        if role is not None:
            seconds = [case.request.expiration_seconds, case.longest_seconds, *(each.expiration_seconds or 900 for each in yes)]
            assert role.lease.expires_at == NOW + timedelta(seconds=DECIDED_AFTER + case.later + min(seconds))
            tally["narrowed by people"] += any(each.tables or each.masks or each.expiration_seconds for each in yes)
            tally["by several"] += len(yes) > 1

    compare()
    assert tally["cells"] >= CELLS, tally
    assert tally["outside of standing grants and the offer"] == tally["beyond guardrails"] == 0, tally
    assert min(tally[name] for name in REACHED) > 0, tally


def oddities(case: OfferCase) -> dict[str, int]:
    """Votes that do not count, and denials: or product and oracle would agree on nothing."""
    votes = [each.vote for each in case.votes]
    return {
        "of the user": sum(each.by in case.wanted.never for each in votes),
        "without the verb": sum(each.may_approve is not True for each in case.votes),
        "of another request": sum(each.request_uid != case.wanted.uid for each in votes),
        "of another offer": sum(each.offer != case.offer.id for each in votes),
        "a no": sum(not each.approves for each in votes),
        "a second one": len(votes) - len({each.by for each in votes}),
    }


def shown_by(role: Granted | None, table: Table, case: OfferCase, rows: Sequence[Row]) -> Seen:
    shapes = () if role is None else role.profile.tables
    return oracle.shown(next((each for each in shapes if each.table == table.id), None), case.case.user, rows)


def permitted(case: OfferCase, table: Table, rows: Sequence[Row]) -> Seen:
    return oracle.expected(EVERYTHING, table, case.case.user, rows, case.case.guardrails)


def beyond(shown: Seen, bound: Seen) -> int:
    """How many cells show something where `bound` shows less."""
    return sum(
        mask != Nullify() and (most is None or severity(mask) < severity(most.get(name, Nullify())))
        for cells, most in zip(shown, bound, strict=True)
        for name, mask in (cells or {}).items()
    )
