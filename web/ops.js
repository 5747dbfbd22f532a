/**
 * The script of the operators' console: it refreshes the live parts of a page, and continues a bulk
 * retry. The console works without it.
 *
 * The live parts of a page are requested together, with their ETag, while the page is visible. The
 * server has escaped their content.
 */

const SECOND_MS = 1000;
/** After failures the page refreshes less and less often, at the least once in so many intervals. */
const MAX_BACKOFF = 12;

/**
 * Request the live parts of this page.
 *
 * @param {string} tag The ETag of the shown parts. The result is null if they have not changed.
 */
async function fetchLiveParts(tag) {
  /** @type {Record<string, string>} */
  const headers = { "X-Fragment": "live" };
  if (tag) headers["If-None-Match"] = tag;
  const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
  if (answer.type === "opaqueredirect") location.reload();
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(String(answer.status));
  return { html: await answer.text(), tag: answer.headers.get("ETag") ?? "" };
}

/**
 * Replace the content of the live parts, except of a part that has the keyboard focus: its reader
 * would lose the place.
 *
 * @param {HTMLElement[]} parts
 * @param {string} html
 * @returns {boolean} True if all parts were replaced.
 */
function replaceParts(parts, html) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  const replaceable = parts.filter((part) => !part.contains(document.activeElement));
  for (const part of replaceable) {
    const name = part.dataset["part"];
    const fresh = name ? body.querySelector(`[data-part="${name}"]`) : body;
    if (fresh) part.replaceChildren(...fresh.childNodes);
  }
  return replaceable.length === parts.length;
}

/** @param {HTMLElement[]} parts */
function refreshRegularly(parts) {
  const everyMs = Number(parts[0]?.dataset["live"]) * SECOND_MS;
  let tag = "";
  let backoff = 1;

  async function refresh() {
    try {
      const fresh = document.visibilityState === "visible" ? await fetchLiveParts(tag) : null;
      // Without a tag the parts that were not replaced are requested again.
      if (fresh) tag = replaceParts(parts, fresh.html) ? fresh.tag : "";
      backoff = 1;
    } catch {
      backoff = Math.min(backoff * 2, MAX_BACKOFF);
    }
    setTimeout(() => void refresh(), everyMs * backoff);
  }

  setTimeout(() => void refresh(), everyMs);
}

/** @type {NodeListOf<HTMLElement>} */
const liveParts = document.querySelectorAll("[data-live]");
if (liveParts.length > 0) refreshRegularly([...liveParts]);

const bulkRetry = document.querySelector("form[data-go-on]");
if (bulkRetry instanceof HTMLFormElement) bulkRetry.requestSubmit();
