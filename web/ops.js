/**
 * Keeps the numbers of the operators' console fresh, and goes on with a retry of many.
 *
 * The console is whole without it. A live part asks for itself, with its tag, while the page is
 * seen; the server has escaped whatever is in it.
 */

const SECOND_MS = 1000;
/** A page that is refused or cut off asks less and less often, up to once in this many times. */
const MOST_PATIENT = 12;

/**
 * Ask for the live part of this page.
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
 * @param {HTMLElement} part
 * @param {string} html
 */
function show(part, html) {
  // Whoever is reading with the keyboard in here must not lose their place.
  if (part.contains(document.activeElement)) return;
  const parsed = new DOMParser().parseFromString(html, "text/html");
  part.replaceChildren(...parsed.body.childNodes);
}

/** @param {HTMLElement} part */
function keepFresh(part) {
  const everyMs = Number(part.dataset["live"]) * SECOND_MS;
  let tag = "";
  let patience = 1;

  async function tick() {
    try {
      const fresh = document.visibilityState === "visible" ? await fetchPart(tag) : null;
      if (fresh) show(part, fresh.html);
      tag = fresh?.tag ?? tag;
      patience = 1;
    } catch {
      patience = Math.min(patience * 2, MOST_PATIENT);
    }
    setTimeout(() => void tick(), everyMs * patience);
  }

  setTimeout(() => void tick(), everyMs);
}

for (const part of document.querySelectorAll("[data-live]")) {
  keepFresh(/** @type {HTMLElement} */ (part));
}

const goOn = document.querySelector("form[data-go-on]");
if (goOn instanceof HTMLFormElement) goOn.requestSubmit();
