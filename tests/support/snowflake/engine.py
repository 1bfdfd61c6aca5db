"""One statement at work: what every part of the engine is given."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tests.support.snowflake.access import Access
from tests.support.snowflake.catalog import Catalog
from tests.support.snowflake.results import Result
from tests.support.snowflake.sessions import Running, Session
from tests.support.snowflake.statements import Statement
from tests.support.snowflake.switches import Switches


@dataclass(frozen=True, slots=True)
class Work:
    """`run` executes another statement of the same session, as in a script; `history` is every statement of the account."""

    catalog: Catalog
    session: Session
    access: Access
    switches: Switches
    now: datetime
    running: Running
    history: tuple[Running, ...]
    sessions: dict[int, Session]
    run: Callable[[Statement], Result]
    edition: str
