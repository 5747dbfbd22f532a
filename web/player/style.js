/**
 * How the element looks: a constructed sheet, so that no policy against inline styles meets it, and
 * the two things that differ from video to video.
 */

/** @import { Card } from "../types.js" */

const RULES = `
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
.frame {
  display: grid;
  grid-template-rows: minmax(min-content, 1fr) auto minmax(0, 1fr);
  position: relative;
  inline-size: 100%;
  overflow: clip;
  aspect-ratio: var(--ratio, 16 / 9);
  max-block-size: var(--khronika-max-height, 75vh);
  border-radius: var(--khronika-radius, 0.5rem);
  background: var(--placeholder, #23262d);
}
:host([mode="detail"]) .frame { max-block-size: var(--khronika-max-height, 90vh); }
.poster, video { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: contain; }
video { background: #000; }
.poster { background: var(--placeholder, #23262d); pointer-events: none; }
.play {
  place-self: center;
  grid-area: 2 / 1;
  position: relative;
  inline-size: 4.5rem;
  block-size: 4.5rem;
  border: 2px solid #fff;
  border-radius: 50%;
  background: #000000b3;
  cursor: pointer;
}
.play::before {
  content: "";
  position: absolute;
  inset: 30% 26% 30% 36%;
  background: #fff;
  clip-path: polygon(0 0, 100% 50%, 0 100%);
}
.play::after { content: ""; position: absolute; inset: -100vmax; }
.panel {
  grid-area: 1 / 1 / -1;
  place-self: end stretch;
  position: relative;
  margin: 0.5rem;
  padding: 0.625rem 0.75rem;
  border-radius: calc(var(--khronika-radius, 0.5rem) * 0.75);
  background: var(--surface);
  overflow-wrap: anywhere;
}
.panel.note { grid-row-end: 2; align-self: start; display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.5rem; padding-block: 0; }
.play[hidden] ~ .note { margin-block-end: 3.5rem; }
.note .text { flex: 1 1 10rem; padding-block: 0.5rem; font-size: 0.875rem; }
.headline { font-weight: 600; }
.details { opacity: 0.85; }
progress { display: block; inline-size: 100%; margin-block-start: 0.5rem; accent-color: var(--accent); }
.action, .dismiss {
  min-block-size: 2.75rem;
  min-inline-size: 2.75rem;
  border: 0;
  border-radius: 0.375rem;
  font: inherit;
  cursor: pointer;
}
.action { margin-block-start: 0.5rem; padding-inline: 1.25rem; font-weight: 600; background: var(--accent); color: var(--on-accent); }
.dismiss { background: none; color: inherit; font-size: 1.25rem; }
.said { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; box-shadow: 0 0 0 2px #fff; }
.play:hover { background: #000; }
@media (prefers-reduced-motion: no-preference) { .play { transition: background 0.2s; } }
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** The one sheet that every element of the page shares. */
export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(RULES);
  }
  return sheet;
}

/**
 * What is measured counts, then what the page declares; it never changes for the poster's sake.
 *
 * @param {Card | null} card
 * @param {string | null} width
 * @param {string | null} height
 * @returns {string} A CSS ratio.
 */
export function ratioOf(card, width, height) {
  if (card?.width && card.height) return `${card.width} / ${card.height}`;
  const declared = [Number(width), Number(height)];
  return declared.every((side) => side > 0) ? declared.join(" / ") : "16 / 9";
}

/**
 * The picture of a video that has none yet: two colours and an angle, the same wherever they are
 * computed.
 *
 * From the last six bytes of the asset's id, which are random in UUIDs of version 4 and of version
 * 7. Numbering the sixteen bytes from 0:
 *
 *     angle  = (byte 10) mod 180 degrees
 *     first  = (byte 11 * 256 + byte 12) mod 360
 *     second = (first + 30 + (byte 13) mod 90) mod 360
 *     linear-gradient(angle, hsl(first 45% 30%), hsl(second 50% 20%))
 *
 * Both are dark enough for white text (contrast over 4.5 at any hue).
 *
 * @param {string} assetId A UUID.
 * @returns {string | null} A CSS image, or null when it is no UUID.
 */
export function placeholderOf(assetId) {
  const digits = assetId.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(digits)) return null;
  const byte = (/** @type {number} */ index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16);
  const angle = byte(10) % 180;
  const first = (byte(11) * 256 + byte(12)) % 360;
  const second = (first + 30 + (byte(13) % 90)) % 360;
  return `linear-gradient(${angle}deg, hsl(${first} 45% 30%), hsl(${second} 50% 20%))`;
}
