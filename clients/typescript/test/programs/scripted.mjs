// Models that follow a script: they call tools, and then say what the last one answered.

import { MockLanguageModelV3 } from "ai/test";
import { AIMessage, fakeModel } from "langchain";

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

/** For the Vercel AI SDK. `calls` are [tool, arguments]; a function gets the answers so far. */
export function aiModel(...calls) {
  let step = 0;
  return new MockLanguageModelV3({
    doGenerate: async ({ prompt }) => {
      const answers = prompt.filter(({ role }) => role === "tool").flatMap(({ content }) => content.map(({ output }) => output.value));
      const next = calls[step++];
      if (next === undefined) {
        return {
          content: [{ type: "text", text: String(answers.at(-1)) }],
          finishReason: { unified: "stop", raw: "stop" },
          usage,
          warnings: [],
        };
      }
      const [toolName, input] = typeof next === "function" ? next(answers) : next;
      const call = { type: "tool-call", toolCallId: `call-${step}`, toolName, input: JSON.stringify(input) };
      return { content: [call], finishReason: { unified: "tool-calls", raw: "tool-calls" }, usage, warnings: [] };
    },
  });
}

/** For LangChain.js. */
export function langchainModel(...calls) {
  const model = fakeModel();
  for (const [name, args] of calls) model.respondWithTools([{ name, args }]);
  return model.respond((messages) => new AIMessage(String(messages.at(-1).content)));
}
