/**
 * Keeps the numbers of the operators' console fresh, and goes on with a retry of many.
 *
 * The console is whole without it. The live parts of a page are asked for together, with their tag,
 * while the page is seen; the server has escaped whatever is in them.
 */

const SECOND_MS = 1000;
/** A page that is refused or cut off asks less and less often, up to once in this many times. */
const MOST_PATIENT = 12;

/**
 * Ask for the live parts of this page.
 *
 * @param {string} tag Of what is shown; the answer is null while that still holds.
 */
async function fetchPart(tag) {
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
 * Show what is fresh, part by part.
 *
 * @param {HTMLElement[]} parts
 * @param {string} html
 * @returns {boolean} Whether all of it is shown.
 */
function show(parts, html) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  // Whoever is reading with the keyboard in a part must not lose their place.
  const free = parts.filter((part) => !part.contains(document.activeElement));
  for (const part of free) {
    const name = part.dataset["part"];
    const fresh = name ? body.querySelector(`[data-part="${name}"]`) : body;
    if (fresh) part.replaceChildren(...fresh.childNodes);
  }
  return free.length === parts.length;
}

/** @param {HTMLElement[]} parts */
function keepFresh(parts) {
  const everyMs = Number(parts[0]?.dataset["live"]) * SECOND_MS;
  let tag = "";
  let patience = 1;

  async function tick() {
    try {
      const fresh = document.visibilityState === "visible" ? await fetchPart(tag) : null;
      // What is not shown yet is asked for again.
      if (fresh) tag = show(parts, fresh.html) ? fresh.tag : "";
      patience = 1;
    } catch {
      patience = Math.min(patience * 2, MOST_PATIENT);
    }
    setTimeout(() => void tick(), everyMs * patience);
  }

  setTimeout(() => void tick(), everyMs);
}

/** @type {NodeListOf<HTMLElement>} */
const live = document.querySelectorAll("[data-live]");
if (live.length > 0) keepFresh([...live]);

const goOn = document.querySelector("form[data-go-on]");
if (goOn instanceof HTMLFormElement) goOn.requestSubmit();
