/**
 * The cards of a page's videos, requested together: in batches, then over one event stream, and by
 * polling if there is no stream. The feed asks nothing while the page is hidden, and nothing about
 * a video that the pipeline no longer changes by itself.
 */

import { parseRetryAfter, requestDelay } from "../backoff.js";
import { canPlay, isUnsettled } from "./video-state.js";

/** @import { Card, CardDocument, CardLookup, TokenProvider } from "../types.js" */
/** @import { EventStream } from "./event-stream.js" */

const MAX_BATCH = 100;
const GATHER_MS = 30;
const UNREACHABLE_AFTER = 2;

/**
 * @typedef {(lookup: CardLookup) => void} Listener
 * @typedef {CardLookup & { listeners: Map<Listener, () => boolean>, asked: boolean }} Entry
 */

/** @type {Map<string, CardFeed>} */
const feeds = new Map();

/**
 * Return the feed that the elements of this page share for an API.
 *
 * @param {string} base
 */
export function cardFeedOf(base) {
  const feed = feeds.get(base) ?? new CardFeed(base);
  feeds.set(base, feed);
  return feed;
}

export class CardFeed {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Required<import("../backoff.js").PastRequests>} */
  #past = { failures: 0, quiet: 0, retryAfterSec: null };
  #busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {EventStream | null} */
  #stream = null;

  /** @type {TokenProvider} Returns the viewer's token. An element that has a provider sets it. */
  tokenProvider = () => null;

  /** @param {string} base The API's address, without a slash at its end. */
  constructor(base) {
    this.base = base;
    document.addEventListener("visibilitychange", () => this.#onVisibilityChange());
  }

  /**
   * Listen to a post's card: once at once, then whenever it changes.
   *
   * @param {string} postId
   * @param {Listener} listener
   * @param {() => boolean} isAwaited Returns true if a post without a video may still get one.
   * @returns {() => void} Ends it.
   */
  watch(postId, listener, isAwaited) {
    const known = { card: null, gone: false, unreachable: false };
    const entry = this.#entries.get(postId) ?? { ...known, listeners: new Map(), asked: false };
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
   * Take a card from elsewhere: the answer to a retry, or the site's own page.
   *
   * @param {CardDocument} document
   */
  put(document) {
    if (this.#update(document)) this.#schedule(GATHER_MS);
  }

  /**
   * Request a post's card again. A failure changes nothing.
   *
   * @param {string} postId
   */
  async refresh(postId) {
    await this.#ask([postId]).then(() => this.#schedule(GATHER_MS), () => undefined);
  }

  /**
   * Send a request to the API with the viewer's token. The browser's cache adds the ETag.
   *
   * @param {string} path
   * @param {RequestInit} [options]
   */
  async call(path, options = {}) {
    const token = await this.#token();
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    return fetch(this.base + path, { cache: "no-cache", ...options, headers });
  }

  /** Return the viewer's token. If the site cannot provide one, the viewer is a visitor. */
  async #token() {
    try {
      return await this.tokenProvider();
    } catch {
      return null;
    }
  }

  /**
   * @param {CardDocument} document
   * @returns {boolean} True if it changed the card.
   */
  #update(document) {
    const entry = this.#entries.get(document.post_id);
    if (!entry) return false;
    const card = toCard(document);
    entry.asked = true;
    if (isOutdated(card, entry.card)) return false;
    const before = JSON.stringify(entry.card);
    Object.assign(entry, { card, gone: false, unreachable: false });
    if (before === JSON.stringify(card)) return false;
    this.#past.quiet = 0;
    notify(entry);
    return true;
  }

  #onVisibilityChange() {
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
    // If the stream's module cannot be loaded, the feed polls.
    if (this.#past.failures === 0) await this.#follow(this.#live()).catch(() => undefined);
    this.#busy = false;
    if (document.hidden || this.#entries.size === 0) return this.#pause();
    // A step that was scheduled during this one is earlier than the next poll.
    if (this.#timer !== undefined && this.#past.failures === 0) return;
    if (this.#due().length === 0) return;
    this.#schedule(requestDelay(this.#past));
  }

  /** @param {string[]} postIds The first of them loads the stream's module. */
  async #follow(postIds) {
    if (postIds.length > 0 && !this.#stream) {
      const { EventStream } = await import("./event-stream.js");
      this.#stream = new EventStream(this.base, {
        fetchTicket: () => this.#fetchTicket(),
        onCard: (card) => this.put(card),
        onGone: (postId) => {
          this.#markGone(postId);
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

  /** Return the posts that were never requested, and the live posts that the stream does not carry. */
  #due() {
    return [...this.#entries]
      .filter(([postId, entry]) => !entry.asked || (isLive(entry) && !this.#stream?.has(postId)))
      .map(([postId]) => postId);
  }

  /** @param {string[]} postIds */
  async #poll(postIds) {
    this.#past.retryAfterSec = null;
    if (postIds.length === 0) return;
    this.#past.quiet += 1;
    try {
      await this.#ask(postIds);
      this.#past.failures = 0;
    } catch {
      this.#past.failures += 1;
      if (this.#past.failures >= UNREACHABLE_AFTER) this.#markUnreachable();
    }
  }

  #markUnreachable() {
    for (const entry of this.#entries.values()) {
      const isUnknown = !(entry.card || entry.gone || entry.unreachable);
      if (isUnknown) notify(Object.assign(entry, { unreachable: true }));
    }
  }

  /** @param {string[]} postIds */
  async #ask(postIds) {
    for (let start = 0; start < postIds.length; start += MAX_BATCH) {
      const batch = postIds.slice(start, start + MAX_BATCH);
      const entries = batch.flatMap((postId) => this.#entries.get(postId) ?? []);
      for (const entry of entries) entry.asked = false;
      const assets = await this.#read(`/api/video-assets?post_ids=${batch.join(",")}`);
      for (const card of assets) this.#update(card);
      // A card that arrived during the request is newer than an answer without one.
      for (const postId of batch) if (!this.#entries.get(postId)?.asked) this.#markGone(postId);
    }
  }

  /**
   * Read cards, and the owner's documents of the viewer's own posts. If the token is refused or
   * cannot be verified now, read the public cards without it.
   *
   * @param {string} path
   * @returns {Promise<Card[]>}
   */
  async #read(path) {
    let response = await this.call(path);
    if ([401, 403, 503].includes(response.status)) response = await fetch(this.base + path);
    this.#past.retryAfterSec = parseRetryAfter(response.headers.get("Retry-After"), Date.now());
    if (!response.ok) throw new Error(`${response.status}`);
    return (await response.json()).assets;
  }

  async #fetchTicket() {
    if (!(await this.#token())) return null;
    const response = await this.call("/api/stream-tickets", { method: "POST" });
    return response.ok ? response.json() : null;
  }

  /** @param {string} postId */
  #markGone(postId) {
    const entry = this.#entries.get(postId);
    if (!entry) return;
    const isNew = !entry.gone;
    Object.assign(entry, { card: null, gone: true, asked: true, unreachable: false });
    if (isNew) notify(entry);
  }
}

/** @param {Entry} entry */
function isLive({ card, listeners }) {
  return card ? isUnsettled(card) : [...listeners.values()].some((isAwaited) => isAwaited());
}

/** @param {Entry} entry */
function notify(entry) {
  for (const listener of [...entry.listeners.keys()]) listener(entry);
}

/**
 * @param {CardDocument} document
 * @returns {Card}
 */
function toCard(document) {
  const source = document.source ?? (canPlay(document) ? "processed" : "none");
  return { ...document, asset_id: document.asset_id ?? document.id, source };
}

/**
 * Return true if a card is older than the known one. Answers can arrive out of order, also after the
 * video was replaced. Of two documents of the same version the owner's says more.
 *
 * @param {Card} card
 * @param {Card | null} known
 */
function isOutdated(card, known) {
  if (!known) return false;
  const later = Date.parse(card.updated_at) - Date.parse(known.updated_at);
  return later < 0 || (later === 0 && Boolean(known.owner_id) && !card.owner_id);
}
