/**
 * The live stream: server-sent events of many posts over one connection.
 *
 * The stream begins with the current card of each post. The server ends it within a minute, and the
 * browser resumes it by itself with Last-Event-ID. If the browser cannot resume (503 over the
 * server's cap, an expired ticket, no server), the stream is lost: its user polls and calls `follow`
 * again, which does nothing until a backoff has passed.
 */

import { requestDelay } from "../backoff.js";

/** @import { Card } from "../types.js" */

const MAX_POSTS = 100;
const MAX_ERRORS = 3;
/** The first wait after a loss is that of the fifth failure in a row. */
const BACKOFF_OFFSET = 4;

/**
 * @typedef {object} StreamHandlers
 * @property {() => Promise<{ ticket: string, expires_at: string } | null>} fetchTicket
 * @property {(card: Card) => void} onCard
 * @property {(postId: string) => void} onGone
 * @property {() => void} onLost
 */

export class EventStream {
  /** @type {EventSource | null} */
  #source = null;
  /** @type {Set<string>} */
  #posts = new Set();
  #ticketEnds = Infinity;
  #losses = 0;
  #blockedUntil = 0;
  #generation = 0;

  /**
   * @param {string} base
   * @param {StreamHandlers} handlers
   */
  constructor(base, handlers) {
    this.base = base;
    this.handlers = handlers;
  }

  /**
   * Return true if the stream carries this post.
   *
   * @param {string} postId
   */
  has(postId) {
    return this.#posts.has(postId);
  }

  /**
   * Follow these posts. Without posts, close the stream.
   *
   * @param {string[]} postIds
   */
  async follow(postIds) {
    if (postIds.length === 0) return this.close();
    const wanted = postIds.slice(0, MAX_POSTS);
    if (wanted.every((postId) => this.#posts.has(postId))) return;
    if (Date.now() < this.#blockedUntil || !globalThis.EventSource) return;
    this.close();
    const generation = this.#generation;
    const ticket = await this.handlers.fetchTicket().catch(() => null);
    if (generation !== this.#generation) return;
    this.#ticketEnds = ticket ? Date.parse(ticket.expires_at) : Infinity;
    this.#open(wanted, ticket?.ticket);
  }

  close() {
    this.#generation += 1;
    this.#source?.close();
    this.#source = null;
    this.#posts.clear();
  }

  /**
   * @param {string[]} postIds
   * @param {string | undefined} ticket
   */
  #open(postIds, ticket) {
    const query = new URLSearchParams({ post_ids: postIds.join(","), ...(ticket && { ticket }) });
    const source = new EventSource(`${this.base}/api/video-assets/stream?${query}`);
    this.#source = source;
    this.#posts = new Set(postIds);
    let errors = 0;
    source.onopen = () => {
      errors = 0;
      this.#losses = 0;
    };
    source.onerror = () => {
      errors += 1;
      if (source.readyState === EventSource.CLOSED || errors > MAX_ERRORS) this.#lose();
    };
    source.addEventListener("asset", (event) => this.handlers.onCard(JSON.parse(event.data)));
    source.addEventListener("gone", (event) => this.handlers.onGone(JSON.parse(event.data).post_id));
  }

  #lose() {
    this.close();
    // An expired ticket is no failure of the server: the next ticket is requested at once.
    if (Date.now() < this.#ticketEnds) {
      this.#losses += 1;
      this.#blockedUntil = Date.now() + requestDelay({ failures: BACKOFF_OFFSET + this.#losses });
    }
    this.handlers.onLost();
  }
}
