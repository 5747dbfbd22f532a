/**
 * What the elements of a page know of their videos, learned together: cards in batches, one stream
 * of events, polling where there is no stream. Nothing is asked while the page is hidden, nor for
 * a video to which nothing more happens by itself.
 */

import { pollDelay, retryAfter } from "../backoff.js";
import { canPlay, isUnsettled } from "./video-state.js";

/** @import { Card, Known, TokenProvider } from "../types.js" */
/** @import { Stream } from "./event-stream.js" */

const BATCH = 100;
const GATHER_MS = 30;
const UNREACHABLE_AFTER = 2;

/**
 * @typedef {(known: Known) => void} Listener
 * @typedef {Known & { listeners: Map<Listener, () => boolean>, asked: boolean }} Entry
 */

/** @type {Map<string, Feed>} */
const feeds = new Map();

/**
 * The one feed that this page's elements share for an API.
 *
 * @param {string} base
 */
export function feedOf(base) {
  const feed = feeds.get(base) ?? new Feed(base);
  feeds.set(base, feed);
  return feed;
}

export class Feed {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  #failures = 0;
  #quiet = 0;
  /** @type {number | null} How long the server wants to be left alone. */
  #retryAfterSec = null;
  #busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Stream | null} */
  #stream = null;

  /** @type {TokenProvider} Gives the viewer's token; an element that has one sets it. */
  tokenProvider = () => null;

  /** @param {string} base Of the API, without a slash at its end. */
  constructor(base) {
    this.base = base;
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /**
   * Hear what is known of a post's video: at once if anything is, and whenever it changes.
   *
   * @param {string} postId
   * @param {Listener} listener
   * @param {() => boolean} isAwaited Whether a video is to be expected where there is none.
   * @returns {() => void} Ends it.
   */
  watch(postId, listener, isAwaited) {
    const entry = this.#entries.get(postId) ?? blank();
    this.#entries.set(postId, entry);
    entry.listeners.set(listener, isAwaited);
    if (isAwaited()) entry.asked = false;
    listener(entry);
    this.#schedule(GATHER_MS);
    return () => {
      if (!entry.listeners.delete(listener)) return;
      if (entry.listeners.size === 0) this.#entries.delete(postId);
      this.#schedule(GATHER_MS);
    };
  }

  /**
   * Take what was learned elsewhere: from the answer to a retry, from the site's own page.
   *
   * @param {Card & { id?: string }} document The public card, or the owner's document.
   */
  put(document) {
    if (this.#learn(document)) this.#schedule(GATHER_MS);
  }

  /**
   * Ask for a post's card again, whatever is known; a failure changes nothing.
   *
   * @param {string} postId
   */
  async refresh(postId) {
    await this.#ask([postId]).then(() => this.#schedule(GATHER_MS), () => undefined);
  }

  /**
   * Send a request to the API as the viewer. The browser's own cache sends the ETag it holds.
   *
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async call(path, options = {}) {
    const token = await this.#token();
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    return fetch(this.base + path, { cache: "no-cache", ...options, headers });
  }

  /** A site that cannot give a token has a visitor. */
  async #token() {
    try {
      return await this.tokenProvider();
    } catch {
      return null;
    }
  }

  /**
   * @param {Card & { id?: string }} document
   * @returns {boolean} Whether it was news.
   */
  #learn(document) {
    const entry = this.#entries.get(document.post_id);
    if (!entry) return false;
    const card = asCard(document);
    entry.asked = true;
    if (isOlder(card, entry.card)) return false;
    const before = JSON.stringify(entry.card);
    Object.assign(entry, { card, gone: false, unreachable: false });
    if (before === JSON.stringify(card)) return false;
    this.#quiet = 0;
    tell(entry);
    return true;
  }

  #look() {
    if (document.hidden) return this.#pause();
    for (const entry of this.#entries.values()) if (isLive(entry)) entry.asked = false;
    this.#schedule(0);
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stream?.close();
  }

  /** @param {number} delay */
  #schedule(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#step(), delay);
  }

  async #step() {
    this.#timer = undefined;
    if (document.hidden) return;
    if (this.#busy) return this.#schedule(GATHER_MS);
    this.#busy = true;
    await this.#poll(this.#due());
    // Without the stream's module there is still polling.
    if (this.#failures === 0) await this.#follow(this.#live()).catch(() => undefined);
    this.#busy = false;
    if (document.hidden || this.#entries.size === 0) return this.#pause();
    // What was to be done next, before this step ended, need not wait as long as another poll.
    if (this.#timer !== undefined && this.#failures === 0) return;
    if (this.#due().length === 0) return;
    const retryAfterSec = this.#retryAfterSec;
    this.#schedule(pollDelay({ failures: this.#failures, quiet: this.#quiet, retryAfterSec }));
  }

  /** @param {string[]} postIds The stream's module is loaded with the first of them. */
  async #follow(postIds) {
    if (postIds.length > 0 && !this.#stream) {
      const { Stream } = await import("./event-stream.js");
      this.#stream = new Stream(this.base, {
        ticket: () => this.#ticket(),
        onCard: (card) => this.put(card),
        onGone: (postId) => {
          this.#miss(postId);
          this.#schedule(GATHER_MS);
        },
        onLost: () => this.#schedule(0),
      });
    }
    await this.#stream?.follow(postIds);
  }

  #live() {
    return [...this.#entries].filter(([, entry]) => isLive(entry)).map(([postId]) => postId);
  }

  /** Posts never asked for, and those that live but are not in the stream. */
  #due() {
    return [...this.#entries]
      .filter(([postId, entry]) => !entry.asked || (isLive(entry) && !this.#stream?.has(postId)))
      .map(([postId]) => postId);
  }

  /** @param {string[]} postIds */
  async #poll(postIds) {
    this.#retryAfterSec = null;
    if (postIds.length === 0) return;
    this.#quiet += 1;
    try {
      await this.#ask(postIds);
      this.#failures = 0;
    } catch {
      this.#failures += 1;
      if (this.#failures >= UNREACHABLE_AFTER) this.#giveNotice();
    }
  }

  #giveNotice() {
    for (const entry of this.#entries.values()) {
      const isUnknown = !(entry.card || entry.gone || entry.unreachable);
      if (isUnknown) tell(Object.assign(entry, { unreachable: true }));
    }
  }

  /** @param {string[]} postIds */
  async #ask(postIds) {
    for (let start = 0; start < postIds.length; start += BATCH) {
      const batch = postIds.slice(start, start + BATCH);
      const entries = batch.flatMap((postId) => this.#entries.get(postId) ?? []);
      for (const entry of entries) entry.asked = false;
      const assets = await this.#read(`/api/video-assets?post_ids=${batch.join(",")}`);
      for (const card of assets) this.#learn(card);
      // What came while the question was under way is newer than "there is none".
      for (const postId of batch) if (!this.#entries.get(postId)?.asked) this.#miss(postId);
    }
  }

  /**
   * Cards, and in place of one's own the owner's documents. Whose token does not count any more, or
   * cannot be verified now, sees what everybody sees.
   *
   * @param {string} path
   * @returns {Promise<Card[]>}
   */
  async #read(path) {
    let response = await this.call(path);
    if ([401, 403, 503].includes(response.status)) response = await fetch(this.base + path);
    this.#retryAfterSec = retryAfter(response.headers.get("Retry-After"), Date.now());
    if (!response.ok) throw new Error(`${response.status}`);
    return (await response.json()).assets;
  }

  async #ticket() {
    if (!(await this.#token())) return null;
    const response = await this.call("/api/stream-tickets", { method: "POST" });
    return response.ok ? response.json() : null;
  }

  /** @param {string} postId */
  #miss(postId) {
    const entry = this.#entries.get(postId);
    if (!entry) return;
    const isNews = !entry.gone;
    Object.assign(entry, { card: null, gone: true, asked: true, unreachable: false });
    if (isNews) tell(entry);
  }
}

/** @returns {Entry} */
function blank() {
  return { card: null, gone: false, unreachable: false, listeners: new Map(), asked: false };
}

/** @param {Entry} entry */
function isLive({ card, listeners }) {
  return card ? isUnsettled(card) : [...listeners.values()].some((isAwaited) => isAwaited());
}

/** @param {Entry} entry */
function tell(entry) {
  for (const listener of [...entry.listeners.keys()]) listener(entry);
}

/**
 * @param {Card & { id?: string }} document
 * @returns {Card}
 */
function asCard(document) {
  const source = document.source ?? (canPlay(document) ? "processed" : "none");
  return { ...document, asset_id: document.asset_id ?? document.id, source };
}

/**
 * Answers overtake each other, also those about a video that has been replaced since. Of the same
 * version, the owner's document says more.
 *
 * @param {Card} card
 * @param {Card | null} known
 */
function isOlder(card, known) {
  if (!known) return false;
  const later = Date.parse(card.updated_at) - Date.parse(known.updated_at);
  return later < 0 || (later === 0 && Boolean(known.owner_id) && !card.owner_id);
}
