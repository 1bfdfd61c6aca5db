// Queries through rolevend-mcp with the official MCP client, and prints what it was answered.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const { server, mode, statement } = JSON.parse(process.env.ROLEVEND_TEST_MCP);
const transport =
  server.url === undefined
    ? new StdioClientTransport(server)
    : new StreamableHTTPClientTransport(new URL(server.url), { requestInit: { headers: { Authorization: `Bearer ${server.token}` } } });
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);

const text = ({ content: [{ text }], isError = false }) => ({ text, isError });
const { tools } = await client.listTools();
const listed = await client.callTool({ name: "list_tables", arguments: {} });
const answers = {
  era: client.getProtocolEra(),
  tools: tools.map(({ name }) => name),
  tables: listed.structuredContent.tables.map(({ name }) => name),
  rows: text(await client.callTool({ name: "query", arguments: { statement } })),
  wrong: text(await client.callTool({ name: "query", arguments: {} })),
  released: text(await client.callTool({ name: "release", arguments: {} })),
};
if (server.url !== undefined && answers.era === "legacy") await transport.terminateSession();
await client.close();
console.log(JSON.stringify(answers));
