"""For LangChain and LangGraph: tools that query under a role, and agents with a separate role for each run.

    toolkit = RolevendToolkit(client=Rolevend.from_environment(), platform="warehouse")
    agent = sql_agent(model, toolkit)
    agent.invoke({"messages": [("user", "How many claims are open?")]}, {"configurable": {"user_token": UserToken(token)}})

`own_role(graph, toolkit)` does the same for another graph that has the tools `toolkit.get_tools()`.
"""

from rolevend_client.langchain.agent import OwnRole, own_role, sql_agent
from rolevend_client.langchain.toolkit import RolevendToolkit
from rolevend_client.values import UserToken

__all__ = ["OwnRole", "RolevendToolkit", "UserToken", "own_role", "sql_agent"]
