/** Texts for the model: short, bounded, and with the next step. They depend on no tool framework. */

import type { Denied } from "./errors.js";
import { Refused, type RolevendError, Unavailable } from "./errors.js";
import type { Role } from "./role.js";
import type { AccessRequest, Column, Offer, Table } from "./values.js";

const LONGEST_CELL = 1000;
const LONGEST_LIST = 20_000;
const MOST_OFFERS = 5;
const ASK_FIRST =
  "Ask the person first if you may request it, and for which reason; then call request_access. Do not try other tables for the same " +
  "values, and do not ask again after a no.";
const NOT_AGAIN = "Tell the person. Do not ask again, and do not try other tables for the same values.";
export const ENDED = "The role ended during the statement. Call the tool again: another role is used.";
export const OVER = "The role has ended, and no other one is used: nothing more can be asked in this conversation. Tell the person.";
export const NO_ROWS = "No rows came of that statement; ask with one that gives rows, such as SELECT.";
export const TOO_LONG = "The answer is long; ask for fewer columns, for a part of a value, or for an aggregate.";
export const UNKNOWN_REQUEST =
  "This conversation made no such request. Call request_access with the same arguments: a request that is still open is found again, and " +
  "not made twice.";
const NEXT_STEPS: Readonly<Record<string, string>> = {
  "42501": "The role may not do that; it reads what list_tables shows.",
  "42P01": "The role sees no such table; list_tables shows those that it reads, and explain_access why.",
  "42703": "The role sees no such column; list_tables shows those that it reads.",
  "42883": "The role may call no such function.",
  "25006": "The role only reads.",
  "57014": "It took too long; ask for less at once.",
  "53400": "It asked for too much at once; ask for less, or for an aggregate.",
  "53300": "The role has too many sessions.",
};

/** Return the names under which a role finds its tables. */
export function named(tables: readonly Table[]): [string, Table][] {
  return tables.map((each) => [each.view ?? each.table, each]); // an API of an earlier version does not say it
}

/** Return the tables that the role reads, with their columns, masks, visible rows and comments. */
export function tables(role: Role): string {
  const { tablesLeftOut, functions, offers } = role.explanation;
  const lines = within(role, commented, { comments: seen, columns: counted });
  if (functions?.length) lines.push(escaped(`functions: ${functions.join(", ")}`));
  if (tablesLeftOut) lines.push(`(${tablesLeftOut} more tables are not listed here)`);
  if (offers?.length) lines.push(`More can be requested: ${offered(offers)}`);
  lines.push(...role.leftOut.map((each) => `There is no role on ${each.name} (${each.reason}): ${each.message}.`));
  return lines.join("\n") || "The role reads no table.";
}

/** Return one table of `tables`, with all of its comments. Undefined: the role reads no such table. */
export function described(role: Role, table: string, platform?: string): string | undefined {
  const there = named((role.explanation.tables ?? []).filter((each) => !platform || !each.platform || each.platform === platform));
  const found = there.find(([name]) => name === table);
  return found && commented(...found, namesOf(there));
}

/** Return for whom the role is, until when, and which policies grant each table. */
export function explained(role: Role): string {
  const { agent, user, purpose } = role.vended;
  const places = role.platforms.map(({ name }) => name).join(", ");
  const until = role.expiresAt === undefined ? "" : `, until ${role.expiresAt.toISOString()}`;
  const whose = `for ${user.subject} through agent ${agent.namespace}/${agent.name}${purpose ? `, for the purpose ${purpose}` : ""}`;
  const grantedBy = (said: Said): Said => {
    return (name, each, names) => `${said(name, each, names)}; granted by ${each.policies?.join(", ") || "nobody named"}`;
  };
  const granted = within(role, grantedBy(seen), { columns: grantedBy(counted) });
  const offers = role.explanation.offers?.length ? [`More can be requested: ${offered(role.explanation.offers)}`] : [];
  return [`Role ${role.name} on ${places}, ${whose}${until}.`, ...granted, ...offers].join("\n");
}

/** Return the text for a role that was not vended. */
export function denied(denial: Denied): string {
  const { missing } = denial;
  const names = missing?.tables?.map(({ schema, table }) => `${schema}.${table}`).join(", ");
  const said = `Access was denied (${denial.code}): ${bare(denial.detail)}.`;
  if (missing?.offers?.length)
    return line(`${said}${names ? ` Not granted: ${names}.` : ""} It can be requested: ${offered(missing.offers)}`);
  const piece = missing?.sentence ? ` The smallest missing piece: ${missing.sentence}.` : "";
  return line(`${said}${piece} Another statement does not change that; tell the person.`);
}

/** Return the text for a statement that PostgreSQL refused: its own message, and the next step. Undefined for an error of another kind. */
export function refused(error: unknown): string | undefined {
  const { code, message, hint } = error as { code?: string; message?: string; hint?: string };
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return undefined;
  return line(`The database refused (${code}): ${bare(message ?? "")}.${hint ? ` Hint: ${hint}` : ""} ${NEXT_STEPS[code] ?? ""}`);
}

/** Return the state of a request, and what to do next. */
export function stated({ id, state, offer, reason, message, confirm, approval }: AccessRequest): string {
  const what = `Request ${id} for offer ${offer.name}`;
  if (state === "Pending" && confirm) {
    return line(
      `${what} waits until the person confirms it on this page: ${confirm.url} Show the person this link; do not open it, and do not ` +
        `change it. Then call access_status with request ${id}; a wait that ends without an answer is no error. Do not ask again meanwhile.`,
    );
  }
  if (state === "Pending") {
    const waits =
      reason === "PeopleDecide" ? "waits for the decision of people" : `is not decided yet${message ? `: ${bare(message)}` : ""}`;
    return line(
      `${what} ${waits}. Tell the person, then call access_status with request ${id}; a wait that ends without a decision is no error. ` +
        "Do not ask again meanwhile, and do not try other tables for the same values.",
    );
  }
  if ((state === "Approved" || state === "Used") && approval) {
    const by = approval.approvedBy.join(", ") || "a rule";
    return line(
      `${what} is approved by ${by}, for ${duration(approval.expirationSeconds)}. The next query uses another role, which reads the ` +
        "tables of this offer alone: call list_tables. When it ends, the role of before is vended again.",
    );
  }
  return line(`${what} is ${state.toLowerCase()}${reason ? ` (${reason})` : ""}: ${bare(message ?? "")}. ${NOT_AGAIN}`);
}

/** Return the text for a request that was refused, or for an approval that gives no role. */
export function failed(what: string, error: RolevendError): string {
  if (error instanceof Refused && error.neededLogin !== undefined) {
    const { acrValues, longestAgeSeconds } = error.neededLogin;
    const acr = acrValues.length > 0 ? ` with ${acrValues.join(" or ")}` : "";
    const age = longestAgeSeconds === undefined ? "" : ` within the last ${duration(longestAgeSeconds)}`;
    return line(
      `${what} needs another login of the person: a login${acr}${age}. Ask the person to log in so; then call request_access again.`,
    );
  }
  const step = error instanceof Unavailable ? "Call again later." : NOT_AGAIN;
  return line(`${what} failed${error.code ? ` (${error.code})` : ""}: ${bare(error.detail)}. ${step}`);
}

export function offered(offers: readonly Offer[]): string {
  const more = offers.length - MOST_OFFERS;
  const others = more > 0 ? `; and ${more} other${more > 1 ? "s" : ""}` : "";
  return `${offers.slice(0, MOST_OFFERS).map(offer).join("; ")}${others}. ${ASK_FIRST}`;
}

/** CSV with a header that stays within bounds. `add` returns false as soon as no more rows are wanted. */
export class BoundedTable {
  readonly #maxRows: number;
  readonly #maxCharacters: number;
  #text = "";
  #rows = 0;
  #rest = "";

  constructor(names: readonly string[], maxRows: number, maxCharacters: number) {
    this.#text = csv(names);
    this.#maxRows = maxRows;
    this.#maxCharacters = maxCharacters;
  }

  add(cells: readonly unknown[]): boolean {
    const next = csv(cells.map(cell));
    if (this.#rows === this.#maxRows) this.#rest = "ask for an aggregate, or with a narrower condition";
    else if (this.#text.length + next.length > this.#maxCharacters)
      this.#rest = "the answer is long; ask for fewer columns or an aggregate";
    if (this.#rest) return false;
    this.#text += next;
    this.#rows += 1;
    return true;
  }

  toString(): string {
    const end = this.#rest
      ? `more rows were left out after ${this.#rows}: ${this.#rest}`
      : `${this.#rows} row${this.#rows === 1 ? "" : "s"}`;
    return `${this.#text}(${end})`;
  }
}

type Names = ReadonlyMap<string, string>;
type Said = (name: string, table: Table, names: Names) => string;

/** Return the text of each table; if that is long, without the parts that the names in `shorter` say. */
function within(role: Role, said: Said, shorter: Record<string, Said>): string[] {
  let lines = byPlatform(role, said);
  for (const [leftOut, less] of Object.entries(shorter)) {
    if (lines.reduce((sum, each) => sum + each.length, 0) > LONGEST_LIST) {
      lines = [...byPlatform(role, less), `(${leftOut} are left out, because the list is long: describe_table shows those of one table)`];
    }
  }
  return lines;
}

/** Return the text of each table, under a line with its platform. A single PostgreSQL needs no such line. */
function byPlatform(role: Role, said: Said): string[] {
  const all = role.explanation.tables ?? [];
  if (role.platforms.length === 1 && role.platforms[0]?.type === "PostgreSQL") return saidOf(all, said);
  return role.platforms.flatMap(({ name, type }) => {
    const there = saidOf(
      all.filter(({ platform }) => !platform || platform === name),
      said,
    );
    return [`on platform ${name} (${type}):`, ...there.map((each) => each.replace(/^/gm, "  "))];
  });
}

function saidOf(all: readonly Table[], said: Said): string[] {
  const there = named(all);
  return there.map(([name, table]) => said(name, table, namesOf(there)));
}

/** Return the name that a role finds each table under, by schema and table. */
function namesOf(there: readonly [string, Table][]): Names {
  return new Map(there.map(([name, { schema, table }]) => [JSON.stringify([schema, table]), name]));
}

/** Return the line of `seen`, and a line for each comment. */
function commented(name: string, table: Table, names: Names): string {
  const columns = table.columns.flatMap((each) => (each.comment ? [escaped(`  comment on ${each.name}: ${quoted(each.comment)}`)] : []));
  return [seen(name, table, names), ...(table.comment ? [`  comment: ${quoted(table.comment)}`] : []), ...columns].join("\n");
}

/** Return one line: the columns with their types and masks, the visible rows, and the keys. */
function seen(name: string, table: Table, names: Names): string {
  const { columns, primaryKey = [], joins = [], stricterForTools = [] } = table;
  const visible = visibleRows(table);
  const rows = visible ? `; only rows where ${visible}` : "";
  const key = primaryKey.length > 0 ? `; key ${primaryKey.join(", ")}` : "";
  const joined = joins.map((join) => {
    const other = names.get(JSON.stringify([join.schema, join.table])) ?? `${join.schema}.${join.table}`;
    return `; joins ${join.columns.map((column, at) => `${name}.${column} = ${other}.${join.references[at]}`).join(" and ")}`;
  });
  const less = stricterForTools.length > 0 ? `; functions see less of it: ${stricterForTools.join("; ")}` : "";
  return escaped(`${name}: ${columns.map(shown).join(", ")}${rows}${key}${joined.join("")}${less}`);
}

function counted(name: string, { columns }: Table): string {
  return escaped(`${name}: ${columns.length} columns`);
}

/** Return the condition of the visible rows; empty: every row is visible. */
function visibleRows({ rows, rowFilters = [], restrictions = [] }: Table): string {
  if (rows) return rows;
  const any = rowFilters.map((each) => `(${each})`).join(" or ");
  const filters = any ? [rowFilters.length > 1 && restrictions.length > 0 ? `(${any})` : any] : [];
  return [...filters, ...restrictions.map((each) => `(${each})`)].join(" and ");
}

function shown({ name, type, mask, maskMeaning, shown: how, values = [] }: Column): string {
  const typed = type ? `${name} ${type}` : name;
  if (mask || how !== "Clear") return `${typed} (masked: ${maskMeaning || mask || how})`;
  return values.length > 0 ? `${typed} (one of ${values.map(quoted).join(", ")})` : typed;
}

/** Return the text on one line: owners name tables, columns, types and functions, and may use any character. */
function escaped(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
}

/** Return words of an owner so that they cannot be taken for ours. */
function quoted(words: string): string {
  return `"${words.trim().split(/\s+/).join(" ").replaceAll('"', "'")}"`;
}

function offer({ name, display, shows, how, upToSeconds }: Offer): string {
  const who = how === "Automatic" ? "a rule decides at once" : "people decide";
  return `offer ${name} (${bare(display)}) shows ${shows}; ${who}, for at most ${duration(upToSeconds)}`;
}

function duration(seconds: number): string {
  const [count, unit] = seconds % 60 === 0 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function cell(value: unknown): string {
  const text = value === null || value === undefined ? "NULL" : String(value);
  return text.length <= LONGEST_CELL ? text : `${text.slice(0, LONGEST_CELL)}…`;
}

function csv(cells: readonly string[]): string {
  return cells.length === 0 ? "" : `${cells.map((each) => (/[",\r\n]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each)).join(",")}\n`;
}

function bare(text: string): string {
  return text.trim().replace(/\.+$/, "");
}

function line(text: string): string {
  return text.split(/\s+/).join(" ").trim();
}
