// Waits for the answer to a vend until a signal comes.
import { Rolevend } from "../../dist/index.js";

const { url, agentToken, platform } = JSON.parse(process.env.ROLEVEND_TEST_SITE);
const rolevend = new Rolevend({ url, agentToken, releaseOnSignals: true });
await rolevend.vend({ userToken: "anna", platform });
await new Promise((resolve) => setTimeout(resolve, 60_000));
