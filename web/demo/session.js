/** The visitor's token, as this site's own server gives it. */

const FRESH_MS = 60_000;

/** @type {{ token: string, expires_at: string } | null} */
let held = null;

/** @returns {Promise<string | null>} Null where the server does not answer. */
export async function token() {
  if (!held || Date.parse(held.expires_at) - Date.now() < FRESH_MS) {
    const answer = await fetch("/demo/token").catch(() => null);
    held = answer?.ok ? await answer.json() : null;
  }
  return held?.token ?? null;
}
