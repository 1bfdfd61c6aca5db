// Vends again whenever its role has ended, also while the process ends, as the loop of an agent does.
import { Rolevend } from "../../dist/index.js";

const { url, agentToken, platform } = JSON.parse(process.env.ROLEVEND_TEST_SITE);
const rolevend = new Rolevend({ url, agentToken, releaseOnSignals: true });
const sessions = [1, 2].map(() => rolevend.session({ userToken: () => "anna", platform }));
await Promise.all(sessions.map((session) => session.role()));
console.log("ready");
for (;;) {
  for (const session of sessions) session.role().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1));
}
