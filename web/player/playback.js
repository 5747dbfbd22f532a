/** Playing one video: through hls.js, else the browser itself, else as one file. */

import { abilitiesOf, engines } from "./playback-engines.js";

/** @import { Engine, Sources } from "../types.js" */

/** Pinned: its version is that of package.json. */
export const HLS_JS = "vendor/hls.js/1.7.4/hls.light.min.mjs";

/**
 * @typedef {object} Watching
 * @property {number} position Seconds at which playback begins.
 * @property {number} stallSec Without a frame for so long, a way of playing has failed.
 * @property {(engine: Engine) => void} onEngine
 * @property {() => void} onOtherVersion The stream failed, the file goes on.
 * @property {(position: number) => void} onFatal Nothing is left to play.
 */

export class Playback {
  /** @type {Engine[]} */
  #left;
  /** @type {{ destroy(): void } | null} */
  #hls = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stall;
  #position;
  #attempt = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLVideoElement} video
   * @param {Sources} sources
   * @param {Watching} watching
   */
  constructor(video, sources, watching) {
    this.video = video;
    this.sources = sources;
    this.watching = watching;
    this.#position = watching.position;
    this.#left = engines(sources, abilitiesOf(video, globalThis.window));
    const { signal } = this.#listening;
    for (const name of ["waiting", "seeking"]) {
      video.addEventListener(name, () => this.#expectFrame(), { signal });
    }
    for (const name of ["playing", "seeked", "pause", "ended"]) {
      video.addEventListener(name, () => this.#relax(), { signal });
    }
    video.addEventListener("timeupdate", () => this.#note(), { signal });
    video.addEventListener("loadedmetadata", () => this.#resume(), { signal });
    video.addEventListener("error", () => this.#onVideoError(), { signal });
  }

  /** Begin, with the first way that this browser has. */
  async start() {
    const engine = this.#left.shift();
    if (!engine) return this.#end();
    this.#attempt += 1;
    this.#expectFrame();
    if (engine === "hls.js") {
      if (!(await this.#startHls())) return;
    } else {
      this.video.src = (engine === "native" ? this.sources.manifest : this.sources.file) ?? "";
    }
    this.watching.onEngine(engine);
    this.#play();
  }

  /** Let go of the video and of everything that was loaded. */
  stop() {
    this.#attempt += 1;
    this.#listening.abort();
    this.#relax();
    this.#release();
  }

  /** @returns {Promise<boolean>} Whether it has begun; what follows if not has been seen to. */
  async #startHls() {
    const attempt = this.#attempt;
    const Hls = await loadHls();
    if (attempt !== this.#attempt) return false;
    if (!Hls?.isSupported()) {
      void this.start();
      return false;
    }
    const hls = new Hls({
      // A worker would be made from a blob, which a strict policy forbids.
      enableWorker: false,
      capLevelToPlayerSize: true,
      startPosition: this.#position || -1,
    });
    this.#hls = hls;
    const spare = { networkError: () => hls.startLoad(), mediaError: () => hls.recoverMediaError() };
    hls.on(Hls.Events.ERROR, (/** @type {string} */ _, /** @type {any} */ error) => {
      if (!error.fatal) return;
      const recover = /** @type {Record<string, (() => void) | undefined>} */ (spare)[error.type];
      // Without its manifest there is nothing to load again.
      if (!recover || error.details.startsWith("manifest")) return this.#fail();
      Object.assign(spare, { [error.type]: undefined });
      recover();
    });
    hls.loadSource(this.sources.manifest);
    hls.attachMedia(this.video);
    return true;
  }

  #play() {
    // Refused where the browser wants another tap: its own controls are there for it. A failure
    // of the media comes as an error event, too.
    this.video.play().catch(() => undefined);
  }

  #resume() {
    if (!this.#hls && this.#position > 0) this.video.currentTime = this.#position;
  }

  #expectFrame() {
    clearTimeout(this.#stall);
    const from = this.video.currentTime;
    this.#stall = setTimeout(() => {
      if (this.video.paused) return;
      // Browsers say that they wait, and play on without saying that they do.
      if (this.video.currentTime > from) this.#expectFrame();
      else this.#fail();
    }, this.watching.stallSec * 1000);
  }

  #relax() {
    clearTimeout(this.#stall);
    this.#note();
  }

  #note() {
    if (this.video.currentTime > 0) this.#position = this.video.currentTime;
  }

  #onVideoError() {
    if (!this.#hls && this.video.error) this.#fail();
  }

  /** From a stream to the file, once; from the file to the end. */
  #fail() {
    this.#relax();
    this.#release();
    this.#left = this.#left.filter((engine) => engine === "file");
    if (this.#left.length === 0) return this.#end();
    this.watching.onOtherVersion();
    void this.start();
  }

  #end() {
    this.#relax();
    this.watching.onFatal(this.#position);
  }

  #release() {
    clearTimeout(this.#stall);
    this.#hls?.destroy();
    this.#hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/** @returns {Promise<any>} The library, or null where it could not be had. */
async function loadHls() {
  const module = await import(new URL(`../${HLS_JS}`, import.meta.url).href).catch(() => null);
  return module?.default ?? null;
}
