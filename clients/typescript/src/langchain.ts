/** Tools for LangChain.js and LangGraph.js: `createAgent({ model, tools: rolevendTools(session) })`. */

import { ToolMessage } from "@langchain/core/messages";
import { DynamicStructuredTool } from "@langchain/core/tools";
import type { Session } from "./session.js";
import { ForTheModel, modelTools, type ToolOptions } from "./tools.js";

export type { ToolOptions } from "./tools.js";

/** Return the tools of a session. A tool that fails returns a message for the model with the status `error`; other errors are thrown. */
export function rolevendTools(session: Session, options: ToolOptions = {}): DynamicStructuredTool[] {
  return modelTools(session, options).map(
    ({ name, description, parameters, run }) =>
      new DynamicStructuredTool({
        name,
        description,
        schema: parameters,
        func: async (input: unknown, _, config) => {
          try {
            return await run(input);
          } catch (error) {
            if (!(error instanceof ForTheModel)) throw error;
            const { id } = (config as { toolCall?: { id?: string } } | undefined)?.toolCall ?? {};
            return typeof id === "string"
              ? new ToolMessage({ name, content: error.message, tool_call_id: id, status: "error" })
              : error.message;
          }
        },
      }),
  );
}
