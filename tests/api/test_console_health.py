"""The console's page on health: people with different rights, on real parts."""

from testbed.installation import NAMESPACE
from tests.support.calling import Caller, Doors
from tests.support.console import NINA, PETRA, SVEN, ConsoleSite, kubernetes_name
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE
from tests.support.waiting import eventually


def test_each_person_sees_the_health_that_their_rights_read(console: ConsoleSite, proven: Proven, doors: Doors):
    binding = ("create", "rolebinding", "petra", "--role=rolevend-doctor", f"--user={kubernetes_name(PETRA)}", f"--namespace={NAMESPACE}")
    console.site.cluster.kubectl(*binding)
    role = Caller(proven.ready_to_ask(), doors.first).vended()
    petra, sven, nina = (console.browser(each) for each in (PETRA, SVEN, NINA))

    eventually(lambda: WAREHOUSE in petra.get("/health").text)

    whole = petra.page.text
    assert "What needs a person" in whole
    assert "Deployment rolevend" in whole, "no pod runs in this cluster"
    assert whole.count("you may not read") == 1, "the attributes of people"
    assert whole.index("What needs a person") < whole.index("Platforms") < whole.index("Versions")
    assert role["id"] not in whole

    nothing = nina.get("/health").text
    assert "Nothing that you may read needs a person" in nothing
    for hidden in (WAREHOUSE, "Deployment rolevend", "leader", role["id"]):
        assert hidden not in nothing, hidden
    assert "you may not read" in nothing

    eventually(lambda: "you may read those of some namespaces alone" in sven.get("/health").text)
    assert WAREHOUSE not in sven.page.text
