// Holds a role of Anna until the process ends in the way that the first argument names.
import { once } from "node:events";
import { Rolevend } from "../../dist/index.js";

const [end] = process.argv.slice(2);
const { url, agentToken, platform } = JSON.parse(process.env.ROLEVEND_TEST_SITE);
const rolevend = new Rolevend({ url, agentToken, releaseOnSignals: end !== "unasked" });
if (end === "early") process.once("SIGTERM", () => console.log("own"));
const abort = new AbortController();
const role = await rolevend.vend({ userToken: "anna", platform, signal: abort.signal });
const { rows } = await role.query("SELECT count(*)::int AS people FROM people");
const running = role.query("SELECT count(*) FROM generate_series(1, 1e10)");
console.log(`ready ${rows[0].people}`);
switch (end) {
  case "crash":
    running.catch(() => {});
    setTimeout(() => {
      throw new Error("of the program");
    });
    break;
  case "rejection":
    running.catch(() => {});
    Promise.reject(new Error("of the program"));
    break;
  case "exit":
    running.catch(() => {});
    process.exit(3);
    break;
  case "abort":
    await once(process.stdin, "data"); // the caller has read the line above
    process.stdin.destroy();
    abort.abort();
    await running.catch((error) => console.log(error.name));
    break;
  case "own":
  case "early":
    if (end === "own") process.once("SIGTERM", () => console.log("own"));
    await running.catch((error) => console.log(error.name));
    console.log("unwound");
    break;
  default:
    await running.catch((error) => console.log(error.name));
    await new Promise((resolve) => setTimeout(resolve, 60_000));
}
