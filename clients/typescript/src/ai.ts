/** Tools for the Vercel AI SDK: `generateText({ model, tools: rolevendTools(session), … })`. */

import { jsonSchema, type Tool, tool } from "ai";
import type { Session } from "./session.js";
import { modelTools, type ToolOptions } from "./tools.js";

export type { ToolOptions } from "./tools.js";

/** Return the tools of a session by their names. A tool that fails becomes a tool error with a text for the model. */
export function rolevendTools(session: Session, options: ToolOptions = {}): Record<string, Tool<unknown, string>> {
  return Object.fromEntries(
    modelTools(session, options).map(({ name, description, parameters, run }) => [
      name,
      tool({ description, inputSchema: jsonSchema<unknown>(parameters), execute: run }),
    ]),
  );
}
