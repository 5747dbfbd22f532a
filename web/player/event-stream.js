/**
 * The live stream: server-sent events of many posts over one connection.
 *
 * It begins with all that there is to know. The server ends it within a minute, and the browser
 * resumes it by itself, with Last-Event-ID.
 *
 * Where it cannot (503 over the server's cap, an expired ticket, no server), the stream is lost:
 * whoever follows polls, and calls ``follow`` again, which waits its turn.
 */

import { pollDelay } from "../backoff.js";

/** @import { Card } from "../types.js" */

const MOST_POSTS = 100;
const MOST_ERRORS = 3;
const PATIENCE = 4;

/**
 * @typedef {object} Ears
 * @property {() => Promise<{ ticket: string, expires_at: string } | null>} ticket
 * @property {(card: Card) => void} onCard
 * @property {(postId: string) => void} onGone
 * @property {() => void} onLost
 */

export class Stream {
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
   * @param {Ears} ears
   */
  constructor(base, ears) {
    this.base = base;
    this.ears = ears;
  }

  /**
   * Whether news of this post come by the stream.
   *
   * @param {string} postId
   */
  has(postId) {
    return this.#posts.has(postId);
  }

  /**
   * Follow these posts, and no stream at all when there are none.
   *
   * @param {string[]} postIds
   */
  async follow(postIds) {
    if (postIds.length === 0) return this.close();
    const wanted = postIds.slice(0, MOST_POSTS);
    if (wanted.every((postId) => this.#posts.has(postId))) return;
    if (Date.now() < this.#blockedUntil || !globalThis.EventSource) return;
    this.close();
    const generation = this.#generation;
    const ticket = await this.ears.ticket().catch(() => null);
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
      if (source.readyState === EventSource.CLOSED || errors > MOST_ERRORS) this.#lose();
    };
    source.addEventListener("asset", (event) => this.ears.onCard(JSON.parse(event.data)));
    source.addEventListener("gone", (event) => this.ears.onGone(JSON.parse(event.data).post_id));
  }

  #lose() {
    this.close();
    // A ticket that ran out is no trouble of the server's: the next one is asked for at once.
    if (Date.now() < this.#ticketEnds) {
      this.#losses += 1;
      const past = { failures: PATIENCE + this.#losses, quiet: 0 };
      this.#blockedUntil = Date.now() + pollDelay(past);
    }
    this.ears.onLost();
  }
}
