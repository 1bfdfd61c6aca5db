"""One statement that a role ran, as a platform's own record tells it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One that the role sent, whether it succeeded or not."""

    time: str
    """As the platform wrote it: when it began, or ended where only its duration is known. Of PostgreSQL in the time zone of its log."""
    database: str
    session: str
    """The platform's id of the session."""
    client: str
    application: str
    """What the session says of itself: PostgreSQL's application_name, Snowflake's QUERY_TAG."""
    text: str
    parameters: str | None = None
    """`$1 = '42', $2 = NULL`, of a prepared statement; where pgaudit alone tells it, the bare values as CSV."""
    milliseconds: float | None = None
    """How long it ran, where that was logged."""
    error: str | None = None
    """The platform's code and message, where it failed."""
    relations: tuple[str, ...] = ()
    """`TABLE claims.people`: what pgaudit saw it read, also through views."""
