/** What pytest started for the tests: the API, and tokens of people. */

import { type Role, Rolevend, type VendOptions } from "../src/index.js";

export interface Site {
  url: string;
  /** The agent's own token. */
  agentToken: string;
  platform: string;
  /** Tokens of Anna and Bob, each for one role. */
  anna: string[];
  bob: string[];
  /** Tokens of a person to whom nothing is granted, and one that has expired. */
  eve: string;
  expired: string;
}

/** Return the site. Throws where the tests were not started by pytest. */
export function site(): Site {
  const said = process.env.ROLEVEND_TEST_SITE;
  if (said === undefined) throw new Error("these tests are started by pytest: make test ARGS=tests/client_typescript");
  return JSON.parse(said) as Site;
}

export function client({ url, agentToken }: Site): Rolevend {
  return new Rolevend({ url, agentToken });
}

/** Return a function that returns another token of these each time. */
export function tokens(of: string[]): () => string {
  return () => {
    const next = of.shift();
    if (next === undefined) throw new Error("the test has used all tokens that pytest made");
    return next;
  };
}

export function wish(there: Site, of: string[], options: Partial<VendOptions> = {}): VendOptions {
  return { platform: there.platform, userToken: tokens(of), ...options };
}

/** Begin to end the role: it reads nothing more, and its sessions live on. */
export async function closes(there: Site, role: Role): Promise<void> {
  await fetch(`${there.url}/test/closing/${role.id}`, { method: "DELETE" });
}

/** End the role from elsewhere. */
export async function ends(there: Site, role: Role): Promise<void> {
  await client(there).release(role.id);
}
