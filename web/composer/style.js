/** The style sheet of the composer element. */

import { styleSheet } from "../element-base.js";

export const COMPOSER_STYLE = styleSheet(`
:host {
  --surface: var(--khronika-surface, #fff);
  --line: var(--khronika-line, #73777f);
  --bad: var(--khronika-bad, #b3261e);
}
@media (prefers-color-scheme: dark) {
  :host {
    --surface: var(--khronika-surface, #16181d);
    --line: var(--khronika-line, #8d9199);
    --bad: var(--khronika-bad, #ffb4ab);
  }
}
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
@media (prefers-reduced-motion: no-preference) { .box { transition: border-color 0.2s; } }
`);
