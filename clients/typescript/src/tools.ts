/** The tools for models, without a framework: `ai` and `langchain` give them its form. A tool that fails throws an error for the model. */

import type { Duplex } from "node:stream";
import pg from "pg";
import type { AccessRequested } from "./access.js";
import type { VendOptions } from "./client.js";
import { Denied, Rejected, RoleEnded, Unavailable } from "./errors.js";
import * as messages from "./messages.js";
import type { Role } from "./role.js";
import type { Session } from "./session.js";
import type { Offer } from "./values.js";

const LONGEST_REASON = 500;
/** Bytes of an answer of the database. The driver would end the process at a single value of 512 MiB, and reads a COPY to its end. */
const MOST_BYTES = 64 * 2 ** 20;

export interface ToolOptions {
  /** The rows and characters of an answer that reach the model. Defaults: 100 and 10,000. */
  maxRows?: number;
  maxCharacters?: number;
}

type Schema = Readonly<Record<string, unknown>>;

export interface ModelTool {
  name: string;
  description: string;
  /** The arguments, as JSON Schema. */
  parameters: { type: "object"; properties: Record<string, Schema>; required: string[]; additionalProperties: false };
  run(input: unknown): Promise<string>;
}

/** A tool call failed. The message is for the model. */
export class ForTheModel extends Error {}

/** Return the tools of one session. The arguments of a model name neither the person nor the purpose. */
export function modelTools(session: Session, { maxRows = 100, maxCharacters = 10_000 }: ToolOptions = {}): ModelTool[] {
  const access = new ToolAccess(session);
  const platform = { type: "string", enum: session.platforms, description: "Which platform to ask." };
  const several = session.platforms.length > 1 ? { platform } : {};
  return [
    tool(
      "list_tables",
      "List the tables that the role of this conversation reads, with their columns. There are no others for it.",
      {},
      async () => messages.tables(await access.role()),
    ),
    tool(
      "query_sql",
      "Run one SQL statement under the role of this conversation, and get its rows as CSV. The role only reads, and sees only what it may.",
      { statement: { type: "string", description: "One statement." }, ...several },
      (input) => access.query(text(input, "statement"), { maxRows, maxCharacters }, optionalText(input, "platform")),
      ["statement", ...Object.keys(several)],
    ),
    tool(
      "describe_table",
      "Show one table that the role of this conversation reads, as list_tables does, with all of the owner's comments.",
      { table: { type: "string", description: "The table, by the name that list_tables says." }, ...several },
      (input) => access.describe(text(input, "table"), optionalText(input, "platform")),
      ["table"],
    ),
    tool(
      "explain_access",
      "Say for whom the role of this conversation is, until when, and which policies grant each table; or why nothing is granted.",
      {},
      async () => messages.explained(await access.role()),
    ),
    tool(
      "request_access",
      "Request an offer, which shows more than the role of this conversation, for a short time. Ask the person before you call this. A " +
        "rule or people decide; do not ask again after a no.",
      {
        offer: { type: "string", description: "The offer, namespace/name, as a refusal, list_tables or explain_access names it." },
        tables: { ...LIST, description: "The only tables that are needed, each as schema.table. Without it: all of the offer." },
        columns: { ...LIST, description: "The only columns that are needed. Without it: all of the offer." },
        minutes: { type: "integer", minimum: 1, maximum: 1440, description: "How long the role is needed." },
        why: { type: "string", description: "The reason, as the person gave it. People who decide read it." },
        ticket: { type: "string", description: "The ticket, if the offer asks for one. Ask the person for it; do not invent it." },
      },
      (input) => access.request(input),
      ["offer"],
    ),
    tool(
      "access_status",
      "Say if a request of this conversation is decided, after waiting for the decision. The end of the wait is no error.",
      {
        request: { type: "string", description: "The id that request_access returned." },
        wait_seconds: { type: "integer", minimum: 0, maximum: 60, description: "How long to wait for a decision. Default: 30." },
      },
      (input) => access.status(text(input, "request"), number(input, "wait_seconds", 0, 60) ?? 30),
      ["request"],
    ),
  ];
}

const LIST = { type: "array", items: { type: "string" } } as const;

type Input = Readonly<Record<string, unknown>>;

function tool(
  name: string,
  description: string,
  properties: Record<string, Schema>,
  run: (input: Input) => Promise<string>,
  required: string[] = [],
): ModelTool {
  const parameters = { type: "object", properties, required, additionalProperties: false } as const;
  return { name, description, parameters, run: async (input) => await run(membersOf(input)) };
}

/** The role of the session, and the requests that the model made. */
class ToolAccess {
  readonly #session: Session;
  readonly #asked = new Map<string, { request: AccessRequested; terms: Pick<VendOptions, "platform" | "purpose"> }>();
  #offers: readonly Offer[] = [];
  #inUse = "";

  constructor(session: Session) {
    this.#session = session;
  }

  async role(): Promise<Role> {
    return await this.#answering(async () => {
      const role = await this.#session.role();
      this.#offers = role.explanation.offers ?? [];
      return role;
    });
  }

  async describe(table: string, platform?: string): Promise<string> {
    const said = messages.described(await this.role(), table, platform);
    if (said === undefined) throw new ForTheModel(`The role reads no table ${table}; list_tables shows those that it reads.`);
    return said;
  }

  async query(sql: string, bounds: Required<ToolOptions>, platform?: string): Promise<string> {
    const there = (await this.role()).platforms.filter(({ type }) => type !== "Snowflake").map(({ name }) => name);
    if (platform === undefined ? there.length !== 1 : !there.includes(platform)) {
      const one = there.length > 0 ? `name one of ${there.join(", ")}` : "the role is on no PostgreSQL";
      throw new ForTheModel(platform === undefined ? `Say platform: ${one}.` : `There is no platform ${platform} here for SQL; ${one}.`);
    }
    return await this.#answering(() => this.#session.withConnection((client) => ask(client, sql, bounds), platform));
  }

  async request(input: Input): Promise<string> {
    const name = text(input, "offer");
    const { purpose, resources = [] } = this.#session.wish;
    const { platforms } = this.#session;
    const shown = this.#offers.find((offer) => offer.name === name);
    if (shown === undefined && platforms.length !== 1) {
      throw new ForTheModel(
        `There is no offer ${name} here; the offers are: ${this.#offers.map((each) => each.name).join(", ") || "none"}.`,
      );
    }
    const only = resources.map((each) => (typeof each === "string" ? each : `${each.schema}.${each.table}`));
    const tables = texts(input, "tables") ?? [];
    const wrong = tables.find((each) => !/^[^.]+\..+$/.test(each));
    if (wrong !== undefined) throw new ForTheModel(`Name each table as schema.table, not ${wrong}.`);
    if (only.length > 0 && !tables.every((each) => only.includes(each))) {
      throw new ForTheModel(`Only these tables can be requested here: ${only.join(", ")}.`);
    }
    const minutes = number(input, "minutes", 1, 1440);
    const terms = { platform: shown?.platform ?? platforms[0] ?? "", ...stated({ purpose: shown?.purpose ?? purpose }) };
    const narrowed = tables.length > 0 ? tables : only;
    const rest = stated({
      columns: texts(input, "columns"),
      ttlSeconds: minutes === undefined ? undefined : 60 * minutes,
      justification: optionalText(input, "why")?.slice(0, LONGEST_REASON) || undefined,
      ticket: optionalText(input, "ticket")?.trim() || undefined,
    });
    const request = await requesting(() => this.#session.requestAccess({ offer: name, tables: narrowed, ...terms, ...rest }));
    this.#asked.set(request.id, { request, terms });
    return this.#stated(request.id);
  }

  async status(id: string, seconds: number): Promise<string> {
    const request = this.#asked.get(id)?.request;
    if (request === undefined) throw new ForTheModel(messages.UNKNOWN_REQUEST);
    await requesting(() => (request.isPending ? request.wait(seconds) : request.refresh()));
    return this.#stated(id);
  }

  #stated(id: string): string {
    const asked = this.#asked.get(id);
    if (asked === undefined) throw new ForTheModel(messages.UNKNOWN_REQUEST);
    if (asked.request.isApproved && id !== this.#inUse) {
      this.#session.use(asked.request, asked.terms);
      this.#inUse = id;
    }
    return messages.stated(asked.request.found);
  }

  async #answering<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ForTheModel) throw error;
      if (error instanceof Denied) {
        this.#offers = error.missing?.offers ?? [];
        throw new ForTheModel(messages.denied(error));
      }
      if (error instanceof RoleEnded) throw new ForTheModel(this.#session.isOver ? messages.OVER : messages.ENDED);
      const said = messages.refused(error);
      throw said === undefined ? error : new ForTheModel(said);
    }
  }
}

async function requesting<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Rejected || error instanceof Unavailable) throw new ForTheModel(messages.failed("The request", error));
    throw error;
  }
}

/** Run one statement and return its rows as text. Reads no more rows than it returns: an answer that is longer ends its connection. */
async function ask(client: pg.PoolClient, sql: string, { maxRows, maxCharacters }: Required<ToolOptions>): Promise<string> {
  const config = { text: sql, queryMode: "extended", rowMode: "array", types: AS_TEXT } as unknown as pg.QueryConfig;
  const query = client.query(new pg.Query(config));
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
  const stop = () => {
    query.removeAllListeners("row");
    (client as unknown as pg.Client).end().catch(() => {}); // with a statement under way, this closes the connection at once
  };
  let onBytes: (part: Buffer) => void = () => {};
  try {
    return await new Promise<string>((resolve, reject) => {
      let table: messages.BoundedTable | undefined;
      let bytes = 0;
      onBytes = (part) => {
        bytes += part.length;
        if (bytes <= MOST_BYTES) return;
        stop();
        reject(new ForTheModel(messages.TOO_LONG));
      };
      stream.on("data", onBytes);
      const tableOf = ({ fields }: pg.ResultBuilder) =>
        new messages.BoundedTable(
          fields.map(({ name }) => name),
          maxRows,
          maxCharacters,
        );
      query.on("row", (row: unknown, result) => {
        table ??= tableOf(result as pg.ResultBuilder);
        if (table.add(row as unknown[])) return;
        stop();
        resolve(table.toString());
      });
      query.on("error", reject);
      query.on("end", (result) => {
        const answer = result as pg.ResultBuilder;
        if (answer.fields.length > 0) resolve(String(table ?? tableOf(answer)));
        else reject(new ForTheModel(messages.NO_ROWS));
      });
    });
  } finally {
    stream.off("data", onBytes);
  }
}

/** Values as the database sends them, also those that JavaScript cannot represent. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

function membersOf(input: unknown): Input {
  return typeof input === "object" && input !== null ? (input as Input) : {};
}

function text(input: Input, name: string): string {
  const value = input[name];
  if (typeof value !== "string" || value === "") throw new ForTheModel(`Say ${name} as a text.`);
  return value;
}

function optionalText(input: Input, name: string): string | undefined {
  return input[name] === undefined || input[name] === null ? undefined : text(input, name);
}

function texts(input: Input, name: string): string[] | undefined {
  const value = input[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) throw new ForTheModel(`Say ${name} as a list of texts.`);
  return value.length > 0 ? value : undefined;
}

function number(input: Input, name: string, least: number, most: number): number | undefined {
  const value = input[name];
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw new ForTheModel(`Say ${name} as a whole number from ${least} to ${most}.`);
  }
  return value as number;
}

type Stated<Value> = { [Name in keyof Value]?: Exclude<Value[Name], undefined | null> };

function stated<Value extends object>(members: Value): Stated<Value> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null)) as Stated<Value>;
}
