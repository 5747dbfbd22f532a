/** The style sheet and the DOM functions that both elements share. */

/**
 * Read the id of an element's post as the API does, with hyphens or without, in either case; return
 * it as the API writes it.
 *
 * @param {Element} element
 */
export const postIdOf = (element) =>
  (element.getAttribute("post-id") ?? "").toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/**
 * Make a constructed style sheet. A policy that forbids inline styles (CSP) does not apply to it.
 *
 * @param {string} rules
 */
export function styleSheet(rules) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  return sheet;
}

export const BASE_STYLE = styleSheet(`
:host {
  --surface: var(--khronika-surface, #fffffff2);
  --text: var(--khronika-text, #1b1d21);
  --accent: var(--khronika-accent, #1f5fd0);
  --on-accent: var(--khronika-on-accent, #fff);
  display: block;
  font: 0.9375rem/1.4 system-ui, sans-serif;
  color: var(--text);
}
@media (prefers-color-scheme: dark) {
  :host {
    --surface: var(--khronika-surface, #16181df2);
    --text: var(--khronika-text, #f2f4f7);
    --accent: var(--khronika-accent, #8ab4ff);
    --on-accent: var(--khronika-on-accent, #10131a);
  }
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; }
progress { display: block; inline-size: 100%; accent-color: var(--accent); }
.announcement { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`);

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [name] Its class, and its part unless another is given.
 * @param {string} [part]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function makeElement(tag, name = "", part = name) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (part) element.setAttribute("part", part);
  return element;
}

/**
 * Set an element's text if it differs, and hide an empty element unless it is a live region.
 * A screen reader repeats a text that is written to a live region again.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text && !element.hasAttribute("role");
}
