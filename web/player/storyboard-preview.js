/**
 * Small pictures while the viewer seeks: with the pointer over the lowest part of the video, where
 * the browser's controls are, and with the arrow keys. The browser does not tell the time under a
 * pointer on its controls: it is computed from the width of the video.
 */

import { makeElement, styleSheet } from "../element-base.js";
import { formatMediaTime } from "../media-time.js";
import { cueAt, parseCues } from "./storyboard-cues.js";

const CONTROLS_PX = 64;
/** The space that browsers leave on each side of their seek bar. */
const MARGIN_PX = 16;
const LINGER_MS = 800;
const MAX_WIDTH_PX = 180;

const PREVIEW_STYLE = styleSheet(`
.preview {
  position: absolute;
  inset-block-end: 4rem;
  inset-inline-start: 0;
  border: 2px solid #fff;
  border-radius: 0.25rem;
  background-color: #000;
  pointer-events: none;
}
.preview span { position: absolute; inset: auto 0 0; padding: 0 0.25rem; background: #000000b3; color: #fff; font-size: 0.75rem; text-align: center; }
`);

/**
 * Show previews over a video until they are removed.
 *
 * @param {HTMLVideoElement} video
 * @param {HTMLElement} frame
 * @param {string} url The WebVTT file.
 * @returns {Promise<() => void>} Removes the previews.
 */
export async function showStoryboard(video, frame, url) {
  const response = await fetch(url).catch(() => null);
  // Its images lie beside the file itself, which may be at the end of a redirect.
  const cues = response?.ok ? parseCues(await response.text(), response.url) : [];
  if (cues.length === 0) return () => undefined;
  const preview = new StoryboardPreview(video, frame, cues);
  return () => preview.remove();
}

class StoryboardPreview {
  #box = makeElement("div", "preview");
  #time = makeElement("span");
  #listening = new AbortController();
  #keyAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hideTimer;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLElement} frame
   * @param {import("./storyboard-cues.js").Cue[]} cues
   */
  constructor(video, frame, cues) {
    this.video = video;
    this.frame = frame;
    this.cues = cues;
    this.#box.setAttribute("aria-hidden", "true");
    this.#box.hidden = true;
    this.#box.append(this.#time);
    frame.append(this.#box);
    const root = /** @type {ShadowRoot} */ (frame.getRootNode());
    if (!root.adoptedStyleSheets.includes(PREVIEW_STYLE)) root.adoptedStyleSheets.push(PREVIEW_STYLE);
    const { signal } = this.#listening;
    frame.addEventListener("pointermove", (event) => this.#onPointerMove(event), { signal });
    frame.addEventListener("pointerleave", () => this.#hide(), { signal });
    frame.addEventListener("keydown", () => (this.#keyAt = performance.now()), { signal });
    video.addEventListener("seeking", () => this.#onSeeking(), { signal });
  }

  remove() {
    clearTimeout(this.#hideTimer);
    this.#listening.abort();
    this.#box.remove();
  }

  /** @param {PointerEvent} event */
  #onPointerMove(event) {
    const box = this.video.getBoundingClientRect();
    if (event.clientY < box.bottom - CONTROLS_PX) return this.#hide();
    const fraction = (event.clientX - box.left - MARGIN_PX) / (box.width - 2 * MARGIN_PX);
    this.#show(Math.min(1, Math.max(0, fraction)) * this.video.duration);
  }

  #onSeeking() {
    if (performance.now() - this.#keyAt > LINGER_MS) return;
    this.#show(this.video.currentTime);
    clearTimeout(this.#hideTimer);
    this.#hideTimer = setTimeout(() => this.#hide(), LINGER_MS);
  }

  #hide() {
    this.#box.hidden = true;
  }

  /** @param {number} time */
  #show(time) {
    const cue = Number.isFinite(time) && cueAt(this.cues, time);
    if (!cue) return this.#hide();
    const { style } = this.#box;
    const scale = Math.min(1, MAX_WIDTH_PX / cue.width);
    const left = (time / this.video.duration) * this.frame.clientWidth - (cue.width * scale) / 2;
    const maxLeft = this.frame.clientWidth - cue.width * scale;
    style.width = `${cue.width}px`;
    style.height = `${cue.height}px`;
    style.backgroundImage = `url(${JSON.stringify(cue.url)})`;
    style.backgroundPosition = `-${cue.x}px -${cue.y}px`;
    style.transformOrigin = "0 100%";
    style.transform = `translateX(${Math.min(maxLeft, Math.max(0, left))}px) scale(${scale})`;
    this.#time.textContent = formatMediaTime(time);
    this.#box.hidden = false;
  }
}
