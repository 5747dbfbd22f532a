/** A new post: shown as soon as its upload begins, and followed to the end. */

import { token } from "./session.js";

/** @import { KhronikaComposer, KhronikaVideo } from "./session.js" */

const composer = /** @type {KhronikaComposer} */ (document.querySelector("khronika-composer"));
const published = /** @type {HTMLElement} */ (document.querySelector("#published"));
const link = /** @type {HTMLAnchorElement} */ (document.querySelector("#link"));
const text = /** @type {HTMLTextAreaElement} */ (document.querySelector("#text"));

/** @type {KhronikaVideo | null} */
let card = null;
/** @type {Promise<unknown>} */
let changes = Promise.resolve();

composer.tokenProvider = token;
listen("publish", async (detail) => {
  const { post_id: id, width, height, poster } = detail;
  const video = /** @type {KhronikaVideo} */ (document.createElement("khronika-video"));
  const shape = width ? { width, height } : {};
  const attributes = { "post-id": id, owner: "", "upload-progress": 0, ...shape };
  for (const [name, value] of Object.entries(attributes)) video.setAttribute(name, `${value}`);
  if (poster) video.setAttribute("poster", URL.createObjectURL(poster));
  video.tokenProvider = token;
  card = video;
  document.querySelector("#card")?.replaceChildren(video);
  link.href = `/posts/${id}`;
  published.hidden = false;
  await change("POST", "/posts", { id, text: text.value, ...shape });
});
listen("progress", ({ percent }) => {
  card?.setAttribute("upload-progress", `${percent}`);
  card?.replaceChildren();
});
listen("paused", () => note("The upload is paused."));
listen("created", (asset) => {
  if (card) card.card = asset;
  card?.removeAttribute("upload-progress");
});
listen("failed", ({ post_id: id, final, message }) => (final ? withdraw(id) : note(message)));
listen("cancelled", ({ post_id: id }) => withdraw(id));

/** @param {string} id Empty where there is no post yet. */
async function withdraw(id) {
  if (!id) return;
  if (card?.getAttribute("post-id") === id) {
    published.hidden = true;
    card.remove();
  }
  await change("DELETE", `/posts/${id}`);
}

/** @param {string} words What the card says in place of a percentage. */
function note(words) {
  const line = Object.assign(document.createElement("p"), { slot: "uploading", textContent: words });
  card?.replaceChildren(line);
}

/**
 * @param {string} name
 * @param {(detail: any) => void | Promise<void>} listener
 */
function listen(name, listener) {
  composer.addEventListener(name, (event) => void listener(/** @type {CustomEvent} */ (event).detail));
}

/**
 * Tell the site, one thing after the other: a withdrawal must not overtake the post.
 *
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
function change(method, path, body) {
  const content = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  changes = changes.then(() => fetch(path, { method, keepalive: true, ...content })).catch(() => undefined);
  return changes;
}
