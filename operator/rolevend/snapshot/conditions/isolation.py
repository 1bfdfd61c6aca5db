"""The condition Isolated: if the roles of two users of one agent are separated on a platform. Pure."""

from rolevend.kinds import NAME_LABEL, DataPlatform
from rolevend.kinds.data_platform import AgentTerms
from rolevend.kinds.status import ConditionUpdate, shortened


def isolation_conditions(platform: DataPlatform) -> tuple[ConditionUpdate, ...]:
    """Return the condition for a Snowflake account. On PostgreSQL each role is a login, so there is none."""
    if platform.spec.snowflake is None:
        return ()
    named = [f"{each.agent_user} of agent {_whose(each)}" for each in platform.spec.agents if each.agent_user]
    if not named:
        return (ConditionUpdate("Isolated", "True", "EphemeralUser", "each role has a user of its own, which holds nothing else"),)
    cause = (
        "A session of it may take any role that the user holds, of whomever the agent acts for at that time, and put all of them aside to "
        "read what the user itself may read: nothing but the agent keeps two people apart. Without agentUser each role has its own user"
    )
    return (ConditionUpdate("Isolated", "False", "AgentUser", f"spec.agents: roles are granted to the user {shortened(named)}. {cause}"),)


def _whose(terms: AgentTerms) -> str:
    """Return the one agent of an entry that names a user."""
    return f"{terms.namespace_selector.match_labels[NAME_LABEL]}/{', '.join(terms.agent_names or ())}"
