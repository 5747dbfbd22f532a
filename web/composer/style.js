/** How the composer looks. A constructed sheet, so that no policy against inline styles meets it. */

const RULES = `
:host {
  --surface: var(--khronika-surface, #fff);
  --text: var(--khronika-text, #1b1d21);
  --accent: var(--khronika-accent, #1f5fd0);
  --on-accent: var(--khronika-on-accent, #fff);
  --line: var(--khronika-line, #73777f);
  --bad: var(--khronika-bad, #b3261e);
  display: block;
  font: 0.9375rem/1.4 system-ui, sans-serif;
  color: var(--text);
}
@media (prefers-color-scheme: dark) {
  :host {
    --surface: var(--khronika-surface, #16181d);
    --text: var(--khronika-text, #f2f4f7);
    --accent: var(--khronika-accent, #8ab4ff);
    --on-accent: var(--khronika-on-accent, #10131a);
    --line: var(--khronika-line, #8d9199);
    --bad: var(--khronika-bad, #ffb4ab);
  }
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; }
.box {
  display: grid;
  gap: 0.75rem;
  padding: 0.75rem;
  border: 2px dashed var(--line);
  border-radius: var(--khronika-radius, 0.5rem);
  background: var(--surface);
  overflow-wrap: anywhere;
}
.box.over { border-style: solid; border-color: var(--accent); }
.pick { display: grid; justify-items: center; gap: 0.25rem; padding-block: 1.5rem; text-align: center; }
.chosen { display: grid; gap: 0.75rem; }
@media (min-width: 40rem) { .chosen { grid-template-columns: minmax(0, 20rem) 1fr; } }
.picture { position: relative; aspect-ratio: 16 / 9; background: #000; border-radius: 0.375rem; overflow: hidden; }
.picture canvas, .picture video { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: contain; }
.picture video { opacity: 0; }
.about { display: grid; gap: 0.75rem; align-content: start; }
.name { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.125rem 0.75rem; }
label { display: grid; gap: 0.25rem; }
input[type="range"] { inline-size: 100%; block-size: 2.75rem; accent-color: var(--accent); }
progress { display: block; inline-size: 100%; accent-color: var(--accent); }
.problem { color: var(--bad); font-weight: 600; }
.actions { display: flex; flex-wrap: wrap; gap: 0.5rem; }
button {
  min-block-size: 2.75rem;
  min-inline-size: 2.75rem;
  padding-inline: 1.25rem;
  border: 1px solid var(--line);
  border-radius: 0.375rem;
  font: inherit;
  font-weight: 600;
  color: inherit;
  background: none;
  cursor: pointer;
}
button.first { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
.said { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (prefers-reduced-motion: no-preference) { .box { transition: border-color 0.2s; } }
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** The one sheet that every composer of the page shares. */
export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(RULES);
  }
  return sheet;
}
