"""Roles that are granted to a user that the agent has already: what holds, and what does not. On the stand-in, a model of Snowflake."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from snowflake.connector import errors as vendor

from rolevend.errors import Conflict, InvalidInput
from rolevend.plan import Lease, Profile
from rolevend.platforms.protocol import DropRequest, EndReason, KeyPairCredential, Secret
from rolevend.platforms.snowflake.vend.keys import new_key, public_key
from tests.conformance.bench import lease, own, profile, shape, vend
from tests.conformance.snowflake_bench import SnowflakeBench, SnowflakeSession, installed
from tests.support.snowflake import StandIn

USER, OTHER_USER = "FINBOT_SVC", "OTHERBOT_SVC"


class Agent:
    """One with a user of its own, which has no other role; it acts for two people, of EU and of US."""

    def __init__(self, bench: SnowflakeBench) -> None:
        self.bench = bench
        self.keys: dict[str, Secret] = {user: new_key() for user in (USER, OTHER_USER)}
        for user, key in self.keys.items():
            bench.run(f"CREATE USER {user} TYPE = SERVICE RSA_PUBLIC_KEY = '{public_key(key)}'")
        people = bench.people()
        self.table = f'APP.{people.id.schema}."people"'
        self.profile = profile(shape(people, own(people, "region", "regions")))
        self.schema = f"ROLEVEND.{self.profile.name.upper()}"

    def vended(self, region: str, user: str = USER, of: Profile | None = None) -> Lease:
        wanted = of or self.profile
        made = replace(lease(wanted, regions=[region]), agent_user=user)
        credential = vend(self.bench.platform, wanted, made)
        assert credential == KeyPairCredential(made.role, user, None, self.bench.account)
        return made

    def session(self, role: str | None = None, user: str = USER) -> SnowflakeSession:
        return self.bench.session(user, self.keys[user], **({} if role is None else {"role": role}))

    def regions(self, session: SnowflakeSession) -> set[str]:
        return {row[0] for row in session.run(f'SELECT "region" FROM {self.schema}."people"')}

    def drop(self, made: Lease) -> None:
        (answer,) = self.bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
        assert answer.error is None


@pytest.fixture(scope="module")
def account() -> Iterator[Agent]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        yield Agent(bench)


@pytest.fixture
def agent(account: Agent) -> Iterator[Agent]:
    yield account
    account.bench.tidy()


def refused(session: SnowflakeSession, statement: str) -> None:
    with pytest.raises(vendor.Error) as error:
        session.run(statement)
    assert error.value.errno != 900001, f"the stand-in does not know the attack: {error.value}"


def test_a_role_is_granted_to_the_user_and_no_other_user_is_made(agent: Agent):
    made = agent.vended("EU")

    assert agent.regions(agent.session(made.role)) == {"EU"}
    assert agent.bench.admin.run("SHOW USERS STARTS WITH 'IMMUTA_VENDED_'") == []
    assert [each.role for each in agent.bench.platform.live()] == [made.role]


def test_the_same_again_is_the_same_role(agent: Agent):
    made = agent.vended("EU")
    credential = agent.bench.platform.credential(made, secrets.token_bytes)

    (again,) = agent.bench.platform.vend([(made, credential)])

    assert (again.error, again.expires_at) == (None, made.expires_at)
    assert agent.regions(agent.session(made.role)) == {"EU"}


def test_a_drop_takes_it_away_from_sessions_that_are_open_and_from_those_to_come(agent: Agent):
    made = agent.vended("EU")
    session = agent.session(made.role)
    assert agent.regions(session) == {"EU"}

    agent.drop(made)

    refused(session, f'SELECT "region" FROM {agent.schema}."people"')
    refused(agent.session(), f'USE ROLE "{made.role}"')
    assert agent.bench.admin.run(f"SHOW GRANTS TO USER {USER}") == []
    assert len(agent.bench.admin.run(f"SHOW USERS STARTS WITH '{USER}'")) == 1, "the user is the agent's"


def test_a_lease_that_is_over_shows_nothing_though_the_role_is_there(agent: Agent):
    made = agent.vended("EU")
    session = agent.session(made.role)
    agent.bench.run(f"INSERT INTO ROLEVEND.CONTROL.LEASE (ROLE, EVENT, CLUSTER, UID) SELECT '{made.role}', 'Expired', 'c', 'u'")

    assert agent.regions(session) == set()


def test_one_role_crosses_over_to_another_one_of_the_same_user(agent: Agent):
    """What the condition Isolated warns of. If this fails, the warning is out of date."""
    eu, us = agent.vended("EU"), agent.vended("US")
    session = agent.session(eu.role)

    session.run(f'USE ROLE "{us.role}"')

    assert agent.regions(session) == {"US"}


@pytest.mark.parametrize("secondary", ["ALL", "NONE"])
def test_rows_of_two_people_are_in_no_statement_together(agent: Agent, secondary: str):
    eu, us = agent.vended("EU"), agent.vended("US")
    session = agent.session(eu.role)
    session.run(f"USE SECONDARY ROLES {secondary}")

    assert agent.regions(session) == {"EU"}
    session.run(f'USE ROLE "{us.role}"')
    assert agent.regions(session) == {"US"}
    session.run("USE ROLE PUBLIC")
    if secondary == "ALL":
        assert agent.regions(session) == set(), "PUBLIC has no lease"
    else:
        refused(session, f'SELECT "region" FROM {agent.schema}."people"')


def test_a_session_that_holds_a_role_sees_no_row_of_the_table_itself_and_one_that_puts_it_aside_does(agent: Agent):
    """Where the user may read the table without us. So it must not."""
    made = agent.vended("EU")
    agent.bench.run("CREATE ROLE IF NOT EXISTS READER")
    agent.bench.run("GRANT USAGE ON DATABASE APP TO ROLE READER")
    agent.bench.run(f"GRANT USAGE ON SCHEMA {agent.table.rpartition('.')[0]} TO ROLE READER")
    agent.bench.run(f"GRANT SELECT ON TABLE {agent.table} TO ROLE READER")
    agent.bench.run("GRANT USAGE ON WAREHOUSE AGENTS_WH TO ROLE READER")
    agent.bench.run(f"GRANT ROLE READER TO USER {USER}")
    session = agent.session(made.role)
    session.run("USE SECONDARY ROLES ALL")
    assert session.run(f"SELECT * FROM {agent.table}") == []

    session.run("USE ROLE READER")
    assert session.run(f"SELECT * FROM {agent.table}") == [], "the marker is among the secondary roles"
    session.run("USE SECONDARY ROLES NONE")
    assert len(session.run(f"SELECT * FROM {agent.table}")) == 6
    agent.bench.run(f"REVOKE ROLE READER FROM USER {USER}")


def test_another_agents_user_cannot_take_it(agent: Agent):
    made = agent.vended("EU")
    agent.vended("US", OTHER_USER)

    refused(agent.session(user=OTHER_USER), f'USE ROLE "{made.role}"')


def test_a_user_that_is_not_there_is_named_and_nobody_has_the_role(agent: Agent):
    made = replace(lease(agent.profile, regions=["EU"]), agent_user="NOBODY")
    agent.bench.platform.ensure(agent.profile)

    (answer,) = agent.bench.platform.vend([(made, agent.bench.platform.credential(made, secrets.token_bytes))])

    assert isinstance(answer.error, Conflict)
    assert "there is no user NOBODY, which its spec.agents names as agentUser of assistant" in str(answer.error)
    assert agent.bench.admin.run(f'SHOW GRANTS OF ROLE "{made.role}"') == []
    agent.drop(made)


def test_a_login_of_another_kind_is_not_taken(agent: Agent):
    plain = lease(agent.profile, regions=["EU"])
    agent.bench.platform.ensure(agent.profile)
    of_user = KeyPairCredential(plain.role, USER, None, agent.bench.account)

    for made, credential in (
        (plain, of_user),
        (replace(plain, agent_user=USER), agent.bench.platform.credential(plain, secrets.token_bytes)),
        (replace(plain, agent_user=OTHER_USER), of_user),
    ):
        (answer,) = agent.bench.platform.vend([(made, credential)])
        assert isinstance(answer.error, InvalidInput)
    assert not agent.bench.exists(plain.role)
