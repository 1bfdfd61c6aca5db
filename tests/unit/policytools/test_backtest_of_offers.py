"""`rolevend policy backtest` counts the denied requests that could have been asked for, by offer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from rolevend.audit import role_events
from rolevend.audit.chain import Chain
from rolevend.catalog import Catalog, TableId
from rolevend.cli import cli
from rolevend.decision.outcome import Request
from rolevend.kinds.catalog_file import catalog_text
from rolevend.model import Uid
from rolevend.policytools.backtest import Backtest, backtest
from tests.support.as_code import AUTOMATIC, WAREHOUSE, offer, platform, write
from tests.support.manifests import Body, changed
from tests.support.painted import NOW, REQUEST, TABLES, paint, raw_policy

HELD = {WAREHOUSE: Catalog.of(TABLES)}
PEOPLE, PAYMENTS = TableId("claims", "people"), TableId("claims", "payments")


def recorded(path: Path, *requests: Request, reason: str = "NoPolicy") -> Path:
    """A file with a denial of each request, with the attributes that `raw_policy` reads."""
    snapshot = paint().snapshot
    chain = Chain("/rolevend/clusters/c", "one")
    lines = []
    for number, request in enumerate(requests):
        asked = replace(request, uid=Uid(f"{request.uid}-{number}"))
        lines.append(chain.append(role_events.denied(asked, reason, "no policy covers the user", snapshot, NOW)))
    path.write_bytes(b"".join(lines))
    return path


def replayed(folder: Path, *bodies: Body, requests: tuple[Request, ...] = (REQUEST, REQUEST), reason: str = "NoPolicy") -> Backtest:
    write(folder, "all.yaml", platform(), *bodies)
    return backtest([folder / "all.yaml"], [str(recorded(folder / "events.json", *requests, reason=reason))], None, HELD)


def counted(found: Backtest) -> tuple[int, int, int]:
    return found.by_asking.denied, found.by_asking.total.automatically, found.by_asking.total.by_people


def test_each_denied_request_counts_once_and_for_each_offer(tmp_path: Path):
    found = replayed(tmp_path, offer(name="by-people"), offer(name="by-rule", automatic=[AUTOMATIC]))

    assert found.outcomes == [], "an offer grants nothing"
    assert counted(found) == (2, 2, 0)
    assert {offer.name: (each.automatically, each.by_people) for offer, each in found.by_asking.offers.items()} == {
        "by-people": (0, 2),
        "by-rule": (2, 0),
    }


def test_without_an_offer_that_covers_the_user_none_could_be_asked_for(tmp_path: Path):
    of_others = changed(offer(), "spec.users.matchAttributes[0].values", ["manager"])

    assert counted(replayed(tmp_path, of_others)) == (2, 0, 0)


def test_what_policies_grant_now_need_not_be_asked_for(tmp_path: Path):
    assert counted(replayed(tmp_path, raw_policy(), offer())) == (0, 0, 0)


@pytest.mark.parametrize(("table", "expected"), [(PEOPLE, (1, 0, 1)), (PAYMENTS, (1, 0, 0))])
def test_only_offers_of_a_requested_table_count(tmp_path: Path, table: TableId, expected: tuple[int, int, int]):
    assert counted(replayed(tmp_path, offer(), requests=(replace(REQUEST, resources=(table,)),))) == expected


def test_a_denial_that_no_approval_changes_does_not_count(tmp_path: Path):
    assert counted(replayed(tmp_path, offer(), reason="NotPermitted")) == (0, 0, 0)


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_it_is_a_section_of_its_own(tmp_path: Path, output: str):
    write(tmp_path, "all.yaml", platform(), offer())
    events = recorded(tmp_path / "events.json", REQUEST, REQUEST)
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, HELD[WAREHOUSE], "yaml"))
    words = ["policy", "backtest", str(tmp_path / "all.yaml"), "--audit", str(events), "--catalog", str(held), "-o", output]

    answer = CliRunner().invoke(cli, words, catch_exceptions=False)

    assert answer.exit_code == 0, answer.output
    if output == "json":
        assert json.loads(answer.stdout)["byAsking"] == {
            "denied": 2,
            "automatically": 0,
            "byPeople": 2,
            "offers": [{"offer": "domain-claims/countries", "automatically": 0, "byPeople": 2}],
        }
    elif output == "text":
        first, _, count, _, *table, _note = answer.stdout.splitlines()
        assert first == "2 decisions: nobody would have gained or lost anything"
        assert count == "2 of 2 denied requests could have been asked for: 0 automatically, 2 by people"
        assert table == ["OFFER                    AUTOMATICALLY  BY PEOPLE", "domain-claims/countries  0              2"]
    else:
        assert "by people\n\n| Offer |" in answer.stdout
