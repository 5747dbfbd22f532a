/**
 * Small pictures while somebody looks for a place: over the lowest part of the video, where its
 * controls are, and while the arrow keys seek. The browser's own controls tell nothing of where a
 * pointer is on their bar, so its place is taken from the video's width.
 */

import { clock, cueAt, parseCues } from "./storyboard-cues.js";

const CONTROLS_PX = 64;
/** Room that the browsers' controls leave beside their bar. */
const MARGIN_PX = 16;
const LINGER_MS = 800;
const WIDEST_PX = 180;

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
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
 * Show previews over this video for as long as it is there.
 *
 * @param {HTMLVideoElement} video
 * @param {HTMLElement} frame
 * @param {string} url Of the WebVTT file.
 * @returns {Promise<() => void>} Ends it.
 */
export async function showStoryboard(video, frame, url) {
  const response = await fetch(url).catch(() => null);
  const cues = response?.ok ? parseCues(await response.text(), url) : [];
  if (cues.length === 0) return () => undefined;
  const preview = new Preview(video, frame, cues);
  return () => preview.remove();
}

class Preview {
  #box = document.createElement("div");
  #time = document.createElement("span");
  #listening = new AbortController();
  #keyAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hide;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLElement} frame
   * @param {import("./storyboard-cues.js").Cue[]} cues
   */
  constructor(video, frame, cues) {
    this.video = video;
    this.frame = frame;
    this.cues = cues;
    this.#box.className = "preview";
    this.#box.setAttribute("part", "preview");
    this.#box.setAttribute("aria-hidden", "true");
    this.#box.hidden = true;
    this.#box.append(this.#time);
    frame.append(this.#box);
    const root = /** @type {ShadowRoot} */ (frame.getRootNode());
    if (!root.adoptedStyleSheets.includes(STYLE)) root.adoptedStyleSheets.push(STYLE);
    const { signal } = this.#listening;
    frame.addEventListener("pointermove", (event) => this.#onPointer(event), { signal });
    frame.addEventListener("pointerleave", () => this.#away(), { signal });
    frame.addEventListener("keydown", () => (this.#keyAt = performance.now()), { signal });
    video.addEventListener("seeking", () => this.#onSeeking(), { signal });
  }

  remove() {
    clearTimeout(this.#hide);
    this.#listening.abort();
    this.#box.remove();
  }

  /** @param {PointerEvent} event */
  #onPointer(event) {
    const box = this.video.getBoundingClientRect();
    if (event.clientY < box.bottom - CONTROLS_PX) return this.#away();
    const along = (event.clientX - box.left - MARGIN_PX) / (box.width - 2 * MARGIN_PX);
    this.#show(Math.min(1, Math.max(0, along)) * this.video.duration);
  }

  #onSeeking() {
    if (performance.now() - this.#keyAt > LINGER_MS) return;
    this.#show(this.video.currentTime);
    clearTimeout(this.#hide);
    this.#hide = setTimeout(() => this.#away(), LINGER_MS);
  }

  #away() {
    this.#box.hidden = true;
  }

  /** @param {number} time */
  #show(time) {
    const cue = Number.isFinite(time) && cueAt(this.cues, time);
    if (!cue) return this.#away();
    const { style } = this.#box;
    const scale = Math.min(1, WIDEST_PX / cue.width);
    const left = (time / this.video.duration) * this.frame.clientWidth - (cue.width * scale) / 2;
    const most = this.frame.clientWidth - cue.width * scale;
    style.width = `${cue.width}px`;
    style.height = `${cue.height}px`;
    style.backgroundImage = `url(${JSON.stringify(cue.url)})`;
    style.backgroundPosition = `-${cue.x}px -${cue.y}px`;
    style.transformOrigin = "0 100%";
    style.transform = `translateX(${Math.min(most, Math.max(0, left))}px) scale(${scale})`;
    this.#time.textContent = clock(time);
    this.#box.hidden = false;
  }
}
