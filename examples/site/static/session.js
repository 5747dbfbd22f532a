/** The visitor's token, as this site's own server gives it, and the address of the API. */

/**
 * The elements of the API's address, as far as this site uses them.
 *
 * @typedef {() => Promise<string | null>} TokenProvider
 * @typedef {HTMLElement & { tokenProvider: TokenProvider, card: object }} KhronikaVideo
 * @typedef {HTMLElement & { tokenProvider: TokenProvider }} KhronikaComposer
 */

export const API = document.documentElement.dataset["api"] ?? "";

const FRESH_MS = 60_000;

/** @type {{ token: string, expires_at: string } | null} */
let held = null;

/** @returns {Promise<string | null>} Null where the server does not answer. */
export async function token() {
  if (!held || Date.parse(held.expires_at) - Date.now() < FRESH_MS) {
    const answer = await fetch("/token").catch(() => null);
    held = answer?.ok ? await answer.json() : null;
  }
  return held?.token ?? null;
}
