"""A role that the platform's database records uses an approval like any other."""

import itertools

from tests.support.calling import Caller
from tests.support.recorded import lease
from tests.support.requesting import ApiRequester
from tests.support.waiting import eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
RULE = {"name": "small", "limits": {"perUserPerDay": 50}}


def test_a_recorded_role_shows_the_offer_and_is_one_use_also_beside_a_used_token(recorder: Caller):
    requester = ApiRequester(recorder).offering({"automatic": [RULE]})

    tickets = itertools.count()

    def recorded() -> tuple[dict[str, object], dict[str, object]] | None:
        """The first roles are objects: the operator builds their profile."""
        request = requester.asked("Approved", ticket=f"T-{next(tickets)}")  # or one whose use the operator has not seen is found
        role = requester.vended(request)
        if lease(recorder, role)["record"] is not None:
            return request, role
        assert recorder.release(role).status_code in (202, 204)
        return None

    request, role = eventually(recorded)

    assert recorder.rows(role, SSN) == [(1, "900-01-0001"), (2, "900-01-0002")]
    assert [each["roleName"] for each in requester.offers.found(str(request["id"])).status["uses"]] == [role["id"]]
    assert requester.vend(request).json()["code"] == "UsesGone"

    request, token = requester.asked("Approved", ticket="with a used token"), recorder.proven.token()
    assert recorder.vend(userToken=token).status_code == 201
    assert requester.vend(request, userToken=token).json()["code"] == "TokenReplayed"
    assert not requester.offers.found(request["id"]).status.get("uses")
