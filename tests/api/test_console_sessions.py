"""Sessions at the console that end with the suspension of their person, at every replica."""

import datetime
from collections.abc import Iterator

import pytest

from rolevend.kinds.text import timestamp_text
from tests.support.console import NINA, OLGA, ConsoleSite, Visitor
from tests.support.site import Body
from tests.support.waiting import eventually


@pytest.fixture
def olga_at_staff(console: ConsoleSite) -> Iterator[Body]:
    """UserAttributes about Olga, as the console's identity provider names her."""
    spec = {"user": {"issuer": console.provider.issuer, "subject": OLGA}}
    body = {"apiVersion": "rolevend.dev/v1alpha1", "kind": "UserAttributes", "metadata": {"name": "olga-at-staff"}, "spec": spec}
    yield console.site.apply(body)
    console.site.remove(body)


def is_signed_in(visitor: Visitor, replica: int) -> bool:
    """True if the session that the browser has is one; it is not sent to the login."""
    return visitor.http.get(f"{visitor.console.urls[replica]}/requests").status_code == 200


def test_a_suspension_ends_the_sessions_at_each_replica_and_lets_nobody_log_in(console: ConsoleSite, olga_at_staff: Body):
    olga, elsewhere, nina = console.browser(OLGA), console.browser(OLGA), console.browser(NINA)
    for each in (olga, elsewhere, nina):
        each.get("/requests")
    sessions = len(console.sessions())

    console.site.patch(olga_at_staff, {"suspend": True})

    for replica in (0, 1):
        eventually(lambda replica=replica: not is_signed_in(olga, replica), within=10)  # type: ignore[misc]
    eventually(lambda: len(console.sessions()) <= sessions - 2, within=20)  # also of the browser that asks for nothing
    assert is_signed_in(nina, 0)
    assert "You are suspended here" in olga.get("/requests").text
    assert olga.answer.status_code == 403
    form = {"form": "0" * 64, "because": "x", "count": "0"}
    assert elsewhere.http.post(f"{console.urls[1]}/roles", data=form).status_code == 401

    console.site.patch(olga_at_staff, {"suspend": False})
    eventually(lambda: "Signed in as staff:olga" in olga.get("/requests").text)
    assert not is_signed_in(elsewhere, 0), "a session that ended stays so"


def test_a_revocation_ends_the_sessions_and_lets_their_person_log_in_again(console: ConsoleSite, olga_at_staff: Body):
    olga = console.browser(OLGA)
    olga.get("/requests")
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)

    console.site.patch(olga_at_staff, {"notBefore": timestamp_text(until)})

    eventually(lambda: not is_signed_in(olga, 0), within=10)
    assert not is_signed_in(olga, 1)
    eventually(lambda: olga.get("/requests") and is_signed_in(olga, 1))
