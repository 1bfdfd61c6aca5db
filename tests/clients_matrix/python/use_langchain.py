"""LangChain's SQLDatabase and SQLDatabaseToolkit, which list views with view_support alone."""

from langchain_community.agent_toolkits import SQLDatabaseToolkit
from langchain_community.utilities import SQLDatabase
from langchain_core.language_models import FakeListChatModel
from role import READ, URI, answer, refusals

url = URI.replace("postgresql:", "postgresql+psycopg:", 1)
database = SQLDatabase.from_uri(url, view_support=True)
tools = {tool.name: tool for tool in SQLDatabaseToolkit(db=database, llm=FakeListChatModel(responses=[READ])).get_tools()}
answer(
    tables=tools["sql_db_list_tables"].invoke("").split(", "),
    rows=[list(row.values()) for row in database.run(READ, fetch="cursor").mappings()],
    refusals=refusals(database.run),
    more={
        "without view_support": SQLDatabase.from_uri(url).get_usable_table_names(),
        "schema tool": "region TEXT" in tools["sql_db_schema"].invoke("people"),
        "query tool": tools["sql_db_query"].invoke({"query": "SELECT max(id) FROM people"}),
    },
)
