/** One playing of a video: its source, its previews. Loaded with the first tap. */

import { Playback } from "./playback.js";
import { sourcesOf } from "./playback-engines.js";

/** @import { Card, Engine } from "../types.js" */

/**
 * @typedef {object} Wishes
 * @property {Card | null} card
 * @property {string | null} videoUrl
 * @property {number} position Seconds.
 * @property {number} stallSec
 * @property {() => void} onOtherVersion
 * @property {(position: number) => void} onFatal
 */

export class Session {
  #listening = new AbortController();
  /** @type {(() => void) | null} */
  #removePreviews = null;
  /** @type {Engine | null} */
  engine = null;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLElement} frame
   * @param {Wishes} wishes
   */
  constructor(video, frame, { card, videoUrl, ...wishes }) {
    const { signal } = this.#listening;
    const storyboard = card?.storyboard_url;
    if (storyboard) {
      const show = () => void this.#showPreviews(video, frame, storyboard);
      video.addEventListener("playing", show, { once: true, signal });
    }
    this.playback = new Playback(video, sourcesOf(card, videoUrl), {
      ...wishes,
      onEngine: (engine) => (this.engine = engine),
    });
  }

  start() {
    return this.playback.start();
  }

  stop() {
    this.#listening.abort();
    this.playback.stop();
    this.#removePreviews?.();
  }

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLElement} frame
   * @param {string} url
   */
  async #showPreviews(video, frame, url) {
    const { showStoryboard } = await import("./storyboard-preview.js");
    const remove = await showStoryboard(video, frame, url);
    if (this.#listening.signal.aborted) remove();
    else this.#removePreviews = remove;
  }
}
