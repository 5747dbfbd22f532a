/** How the element looks. A constructed sheet, so that no policy against inline styles meets it. */

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
  border-radius: var(--khronika-radius, 0.5rem);
  background: var(--placeholder, #23262d);
}
:host([mode="detail"]) .frame { max-block-size: var(--khronika-max-height, 90vh); }
:host(:not([mode="detail"])) .frame { max-block-size: var(--khronika-max-height, 75vh); }
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
