/**
 * The playback of one video: through hls.js, else the browser's own HLS, else one MP4 file.
 * Loaded with the first tap.
 */

import { browserAbilities, chooseEngines, sourcesOf } from "./playback-engines.js";

/** @import { Card, Engine } from "../types.js" */

/** The version is pinned: it is that of package.json. */
export const HLS_JS = "vendor/hls.js/1.7.4/hls.light.min.mjs";

/**
 * @typedef {object} PlaybackOptions
 * @property {Card | null} card
 * @property {string | null} videoUrl The video address of a post that is older than cards.
 * @property {number} position The second at which playback begins.
 * @property {number} stallSec Seconds without a new frame after which an engine has failed.
 * @property {() => void} onOtherVersion The stream failed; the file continues.
 * @property {(position: number) => void} onFatal No source is left to play.
 */

export class VideoPlayback {
  /** @type {Engine | null} */
  engine = null;
  /** @type {Engine[]} */
  #remaining;
  /** @type {{ destroy(): void } | null} */
  #hls = null;
  /** @type {(() => void) | null} */
  #removePreviews = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stall;
  #position;
  #attempt = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLElement} frame
   * @param {PlaybackOptions} options
   */
  constructor(video, frame, options) {
    this.video = video;
    this.options = options;
    this.sources = sourcesOf(options.card, options.videoUrl);
    this.#position = options.position;
    this.#remaining = chooseEngines(this.sources, browserAbilities(video, globalThis.window));
    const { signal } = this.#listening;
    for (const name of ["waiting", "seeking"]) {
      video.addEventListener(name, () => this.#startStallTimer(), { signal });
    }
    for (const name of ["playing", "seeked", "pause", "ended"]) {
      video.addEventListener(name, () => this.#stopStallTimer(), { signal });
    }
    video.addEventListener("timeupdate", () => this.#savePosition(), { signal });
    video.addEventListener("loadedmetadata", () => this.#seekToPosition(), { signal });
    video.addEventListener("error", () => this.#onVideoError(), { signal });
    const storyboard = options.card?.storyboard_url;
    if (!storyboard) return;
    const show = () => void this.#showPreviews(frame, storyboard);
    video.addEventListener("playing", show, { once: true, signal });
  }

  /** Begin with the first remaining engine. */
  async start() {
    const engine = this.#remaining.shift();
    if (!engine) return this.#end();
    this.#attempt += 1;
    this.#startStallTimer();
    if (engine === "hls.js") {
      if (!(await this.#startHls())) return;
    } else {
      this.video.src = (engine === "native" ? this.sources.manifest : this.sources.file) ?? "";
    }
    this.engine = engine;
    // A browser may refuse and want another tap: its own controls are there for it. A media failure
    // also comes as an error event.
    this.video.play().catch(() => undefined);
  }

  /** Release the video and all that was loaded. */
  stop() {
    this.#attempt += 1;
    this.#listening.abort();
    this.#stopStallTimer();
    this.#release();
    this.#removePreviews?.();
  }

  /** @returns {Promise<boolean>} False if it did not begin; the next step has been taken then. */
  async #startHls() {
    const attempt = this.#attempt;
    const Hls = await loadHls();
    if (attempt !== this.#attempt) return false;
    if (!Hls?.isSupported()) {
      void this.start();
      return false;
    }
    const hls = new Hls({
      // hls.js makes its worker from a blob, which a strict policy (CSP) forbids.
      enableWorker: false,
      capLevelToPlayerSize: true,
      startPosition: this.#position || -1,
    });
    this.#hls = hls;
    const recoveries = { networkError: () => hls.startLoad(), mediaError: () => hls.recoverMediaError() };
    hls.on(Hls.Events.ERROR, (/** @type {string} */ _, /** @type {any} */ error) => {
      if (!error.fatal) return;
      const recover = /** @type {Record<string, (() => void) | undefined>} */ (recoveries)[error.type];
      // Without its manifest there is nothing to load again.
      if (!recover || error.details.startsWith("manifest")) return this.#fail();
      Object.assign(recoveries, { [error.type]: undefined });
      recover();
    });
    hls.loadSource(this.sources.manifest);
    hls.attachMedia(this.video);
    return true;
  }

  #seekToPosition() {
    if (!this.#hls && this.#position > 0) this.video.currentTime = this.#position;
  }

  #startStallTimer() {
    clearTimeout(this.#stall);
    const from = this.video.currentTime;
    this.#stall = setTimeout(() => {
      if (this.video.paused) return;
      // A browser may report that it waits, and then play without an event.
      if (this.video.currentTime > from) this.#startStallTimer();
      else this.#fail();
    }, this.options.stallSec * 1000);
  }

  #stopStallTimer() {
    clearTimeout(this.#stall);
    this.#savePosition();
  }

  #savePosition() {
    if (this.video.currentTime > 0) this.#position = this.video.currentTime;
  }

  #onVideoError() {
    if (!this.#hls && this.video.error) this.#fail();
  }

  /** Change from a stream to the file, once. If the file fails, end. */
  #fail() {
    this.#stopStallTimer();
    this.#release();
    this.#remaining = this.#remaining.filter((engine) => engine === "file");
    if (this.#remaining.length === 0) return this.#end();
    this.options.onOtherVersion();
    void this.start();
  }

  #end() {
    this.#stopStallTimer();
    this.options.onFatal(this.#position);
  }

  #release() {
    clearTimeout(this.#stall);
    this.#hls?.destroy();
    this.#hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /**
   * @param {HTMLElement} frame
   * @param {string} url
   */
  async #showPreviews(frame, url) {
    const { showStoryboard } = await import("./storyboard-preview.js");
    const remove = await showStoryboard(this.video, frame, url);
    if (this.#listening.signal.aborted) remove();
    else this.#removePreviews = remove;
  }
}

/** @returns {Promise<any>} The library; null if it could not be loaded. */
async function loadHls() {
  const module = await import(new URL(`../${HLS_JS}`, import.meta.url).href).catch(() => null);
  return module?.default ?? null;
}
