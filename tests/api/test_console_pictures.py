"""The pictures of the console in the documentation. `make screenshots` keeps them; elsewhere only the taking is tried."""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import pytest
from PIL import Image

from tests.support.browsing import Window, Windows
from tests.support.console import OLGA, PETRA, RITA, SVEN, ConsoleSite
from tests.support.governed import SCHEMA
from tests.support.proving import Proven
from tests.support.requesting import AccessRequested, Requester
from tests.support.site import AGENTS, Body, Site
from tests.support.tenancy import Tenant

ROOT: Final = Path(__file__).parents[2]
SCHEMES: Final[Sequence[Literal["light", "dark"]]] = ("light", "dark")
SHOWN: Final = {
    "requests": (OLGA, "/requests", "Waiting for you"),
    "roles": (SVEN, "/roles", "claim-20417"),
    "readers": (RITA, "/readers?table=claims.people.ssn", "claim-20417"),
    "health": (PETRA, "/health", "Versions"),
}
"""The person, the path, and a text on the page."""
_WIDTH, _HEIGHT = 1120, 640
_COLORS: Final = 64
"""Text on one ground has few."""
_MOST_BYTES: Final = 100_000


class Office:
    """Two agents that work for people, with names for a picture."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.finbot, self.helper = self._agent("finbot"), self._agent("claims-helper")
        offer = Requester(self.finbot.tenant)
        offer.offer_name = "people-in-clear"
        tables = {"matchNames": [{"schema": SCHEMA, "name": name} for name in ("people", "claims")]}
        offer.offering({"display": "People and their claims, with names and numbers in clear"}, tables=tables)
        self._offer = offer

    def work(self) -> None:
        """Ask for roles and for approvals."""
        roles = [
            *[self._role(self.finbot, f"claim-{number}", person, "fraud-review") for number, person in ((20417, "anna"), (20433, "bert"))],
            *[self._role(self.helper, f"report-{person}", person, "reporting") for person in ("carla", "dora", "emil")],
        ]
        self.large_case = self._request(
            "large-case", "anna", "CL-20417", "The customer disputes the payout of claim 20417, and I compare people."
        )
        self._request("second-look", "bert", "CL-20433", "Two claims have one bank account: are these the same person?")
        for each in roles:
            self.site.told(each, "Ready", "True")

    def leave(self) -> None:
        for each in (self.finbot, self.helper):
            each.tenant.leave()

    def _agent(self, name: str) -> Proven:
        tenant = Tenant(self.site)
        tenant.name, tenant.handle = name, name.upper().replace("-", "")[:10]
        return Proven(tenant).ready_to_ask()

    def _role(self, agent: Proven, name: str, person: str, purpose: str) -> Body:
        return agent.ask(agent.token(person), person, name=name, wanted={"purpose": purpose}).body

    def _request(self, name: str, person: str, ticket: str, text: str) -> AccessRequested:
        agent = self.finbot
        token = agent.secret(agent.token(person))
        body = self._offer.asked(user=agent.user(person), userTokenSecretRef=token, justification={"text": text}, ticket=ticket)
        body["metadata"]["name"] = name
        request = AccessRequested(self.site, agent.tenant.keep(self.site.apply(body)))
        request.is_now("Pending")
        return request


@pytest.fixture
def office(site: Site) -> Iterator[Office]:
    office = Office(site)
    office.work()
    yield office
    office.leave()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept = os.environ.get("ROLEVEND_PICTURES")
    folder = ROOT / kept if kept else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.long
def test_pictures_are_small(windows: Windows, console: ConsoleSite, office: Office, folder: Path):
    console.let_ask_who_reads(RITA)
    for scheme in SCHEMES:
        people = {person: windows.open(person, scheme=scheme, width=_WIDTH, height=_HEIGHT) for person in (OLGA, SVEN, RITA, PETRA)}
        for name, (person, path, text) in SHOWN.items():
            people[person].page.goto(path)
            people[person].shows(text)
            take(people[person], folder / f"{name}-{scheme}.png")
        olga = people[OLGA]
        olga.page.goto(f"/requests/{AGENTS}/{office.large_case.name}")
        olga.press("Count rows and cells first")
        olga.shows("With this approval")
        take(olga, folder / f"request-{scheme}.png", whole=True)


def take(window: Window, path: Path, *, whole: bool = False) -> None:
    window.page.evaluate("document.activeElement.blur()")
    picture = Image.open(io.BytesIO(window.page.screenshot(full_page=whole, animations="disabled")))
    picture.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < _MOST_BYTES
