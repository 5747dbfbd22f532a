/**
 * One upload: a ticket, the bytes, the checks, the video. docs/operations.md has the protocol.
 *
 * Whatever breaks off on the way is tried again, part by part; the server is asked what it has, and
 * nothing is sent twice that has arrived.
 */

import { md5 } from "./md5.js";
import { forget, recall, remember } from "./stored-uploads.js";
import { insist, isFinal } from "./retry.js";
import { Refused, Unreachable, ask, send } from "./requests.js";
import { uuid } from "./uuid.js";

/** @import { Api } from "./requests.js" */
/** @import { Remembered } from "./stored-uploads.js" */

const PARALLEL = 3;
/** The ticket no longer holds: what it was for was swept, or given up in another window. */
const LOST = new Set(["upload_not_found", "upload_expired"]);
const MOST_COMPLETIONS = 3;

/** The file can no longer be read as it was chosen. */
export class FileChanged extends Error {}

/** @typedef {"sending" | "checking" | "registering"} Stage What it does; the last is not taken back. */

/**
 * @typedef {object} Wishes
 * @property {File} file
 * @property {string} type Its media type, as the server is told.
 * @property {string} postId
 * @property {string} key Under which the browser remembers it.
 * @property {object} declared What create is told besides.
 * @property {number | null} posterTime Seconds.
 * @property {(ticket: Remembered) => void} onTicket
 * @property {(bytes: number) => void} onBytes How much has arrived, or is on its way.
 * @property {(isWaiting: boolean) => void} onWaiting For a network, or for a server.
 * @property {(stage: Stage) => void} onStage
 */

export class Upload {
  /** @type {Map<number, number>} Bytes by part. */
  #sent = new Map();
  /** @type {Remembered | null} */
  #ticket = null;
  #stopping = new AbortController();
  #waiting = 0;

  /**
   * @param {Api} api
   * @param {Wishes} wishes
   */
  constructor(api, wishes) {
    this.api = api;
    this.wishes = wishes;
  }

  /**
   * Send what is missing and have a video made of it. After `pause` it goes on.
   *
   * @returns {Promise<object>} The owner's document of the video.
   * @throws {Refused} The server wants none of it; its sentence says why.
   * @throws {Unreachable} For minutes there was no answer.
   * @throws {FileChanged}
   * @throws {DOMException} AbortError: it was paused or given up.
   */
  async run() {
    this.#stopping = new AbortController();
    this.#waiting = 0;
    try {
      return await this.#go();
    } catch (error) {
      // Parts that are still on their way would only fail one after the other.
      this.#stopping.abort();
      if (isFinal(error)) void this.abandon();
      throw error;
    }
  }

  /** Stop moving bytes; what has arrived stays. */
  pause() {
    this.#stopping.abort();
  }

  /** Give it up, and what has arrived of it. Where the server does not hear of it, a sweep sees to it. */
  async abandon() {
    this.#stopping.abort();
    forget(this.wishes.key);
    if (this.#ticket) await abandon(this.api, this.#ticket).catch(() => undefined);
  }

  async #go() {
    try {
      return await this.#sendAll(await this.#knownTicket());
    } catch (error) {
      if (!(error instanceof Refused && LOST.has(error.code))) throw error;
      forget(this.wishes.key);
      this.#sent.clear();
      return this.#sendAll(await this.#newTicket());
    }
  }

  async #knownTicket() {
    const known = this.#ticket ?? recall(this.wishes.key);
    // Meanwhile another picture may have been picked.
    return known ? this.#hold({ ...known, posterTime: this.wishes.posterTime }) : this.#newTicket();
  }

  async #newTicket() {
    const { file, type, postId, posterTime } = this.wishes;
    const body = { post_id: postId, filename: file.name, size_bytes: file.size, mime_type: type };
    // Of repeated requests one ticket comes.
    const headers = { "Idempotency-Key": uuid() };
    const ticket = await this.#insist((signal) => this.api.post("/api/uploads", body, headers, signal));
    return this.#hold({
      name: file.name,
      postId,
      posterTime,
      uploadId: ticket.upload_id,
      headers: ticket.headers,
      url: `${this.api.base}/api/uploads/${ticket.upload_id}`,
      wholeUrl: ticket.url,
      partsUrl: ticket.parts?.url ?? null,
      partBytes: ticket.parts?.size_bytes ?? null,
      expiresAt: ticket.expires_at,
    });
  }

  /** @param {Remembered} ticket */
  #hold(ticket) {
    const isNew = this.#ticket?.uploadId !== ticket.uploadId;
    this.#ticket = ticket;
    remember(this.wishes.key, ticket);
    if (isNew) this.wishes.onTicket(ticket);
    return ticket;
  }

  /** @param {Remembered} ticket */
  async #sendAll(ticket) {
    for (let completions = 1; ; completions += 1) {
      this.wishes.onStage("sending");
      const isComplete = await this.#sendMissing(ticket);
      this.wishes.onStage("checking");
      try {
        if (!isComplete) await this.#post(`/api/uploads/${ticket.uploadId}/complete`, null);
        break;
      } catch (error) {
        const isIncomplete = error instanceof Refused && error.code === "upload_incomplete";
        if (!isIncomplete || completions === MOST_COMPLETIONS) throw error;
      }
    }
    this.wishes.onStage("registering");
    const body = { post_id: ticket.postId, upload_id: ticket.uploadId, ...this.wishes.declared };
    // Without a key of idempotency: the upload is one, and what is declared may be other than before.
    const video = await this.#post("/api/video-assets/create", body);
    forget(this.wishes.key);
    return video;
  }

  /**
   * @param {string} path
   * @param {object | null} body
   */
  #post(path, body) {
    return this.#insist((signal) => this.api.post(path, body, {}, signal));
  }

  /**
   * @param {Remembered} ticket
   * @returns {Promise<boolean>} Whether the upload had been completed before.
   */
  async #sendMissing(ticket) {
    const state = await this.#insist((signal) => ask("GET", ticket.url, null, ticket.headers, signal));
    this.#sent.clear();
    for (const part of state.parts) this.#progress(part.number, part.size_bytes);
    if (state.completed_at) return true;
    if (ticket.wholeUrl) {
      if (state.parts.length === 0) await this.#insist((signal) => this.#sendWhole(ticket, signal));
      return false;
    }
    const arrived = new Set(this.#sent.keys());
    const numbers = Array.from({ length: state.part_count }, (_, index) => index + 1);
    const missing = numbers.filter((number) => !arrived.has(number));
    await Promise.all(Array.from({ length: PARALLEL }, () => this.#sendFrom(missing, ticket)));
    return false;
  }

  /**
   * @param {Remembered} ticket
   * @param {AbortSignal} signal
   */
  async #sendWhole({ headers, wholeUrl }, signal) {
    const { file } = this.wishes;
    const told = { ...headers, "Content-MD5": await digest(file, signal) };
    await this.#put({ method: "PUT", url: `${wholeUrl}`, headers: told }, file, 1, signal);
  }

  /**
   * Take parts from the list until there are none.
   *
   * @param {number[]} missing
   * @param {Remembered} ticket
   */
  async #sendFrom(missing, ticket) {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      const part = number;
      await this.#insist((signal) => this.#sendPart(part, ticket, signal));
    }
  }

  /**
   * @param {number} number
   * @param {Remembered} ticket
   * @param {AbortSignal} signal
   */
  async #sendPart(number, { headers, partsUrl, partBytes }, signal) {
    const size = partBytes ?? 0;
    const content = this.wishes.file.slice((number - 1) * size, number * size);
    const told = { numbers: [number], md5: { [number]: await digest(content, signal) } };
    const asked = await ask("POST", `${partsUrl}`, told, headers, signal);
    const etag = await this.#put(asked.parts[0], content, number, signal);
    await ask("POST", `${partsUrl}/${number}`, { etag: etag || null }, headers, signal);
  }

  /**
   * @param {{ method: string, url: string, headers: Record<string, string> }} request
   * @param {Blob} content
   * @param {number} number
   * @param {AbortSignal} signal
   */
  async #put(request, content, number, signal) {
    try {
      return await send(request, content, (bytes) => this.#progress(number, bytes), signal);
    } catch (error) {
      // Of what is paused, the author goes on seeing how far it was.
      if (!signal.aborted) this.#progress(number, 0);
      if (error instanceof Unreachable) await readable(content);
      throw error;
    }
  }

  /**
   * @param {number} number
   * @param {number} bytes
   */
  #progress(number, bytes) {
    this.#sent.set(number, bytes);
    const total = [...this.#sent.values()].reduce((sum, part) => sum + part, 0);
    this.wishes.onBytes(Math.min(total, this.wishes.file.size));
  }

  /**
   * @template Answer
   * @param {(signal: AbortSignal) => Promise<Answer>} request
   */
  #insist(request) {
    const onWaiting = (/** @type {boolean} */ begins) => {
      this.#waiting += begins ? 1 : -1;
      this.wishes.onWaiting(this.#waiting > 0);
    };
    return insist(request, onWaiting, this.#stopping.signal);
  }
}

/**
 * Tell the server that an upload is given up. Where a video was made of it and the answer that said
 * so was lost, that is deleted.
 *
 * @param {Api} api
 * @param {Remembered} ticket
 * @throws {Refused}
 * @throws {Unreachable}
 */
export async function abandon(api, { url, headers, postId, uploadId }) {
  try {
    await ask("DELETE", url, null, headers);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (LOST.has(error.code)) return;
    if (error.code !== "upload_completed") throw error;
    const video = `/api/video-assets/${postId}`;
    const known = await api.get(video).catch(nothing);
    // The post may have the video of another upload, which nobody gave up.
    if (known?.id === uploadId) await api.delete(video).catch(nothing);
  }
}

/** @param {unknown} error */
function nothing(error) {
  if (error instanceof Refused && error.status === 404) return null;
  throw error;
}

/**
 * What the server is told of content, so that it refuses what was damaged on its way.
 *
 * @param {Blob} content
 * @param {AbortSignal} signal
 */
async function digest(content, signal) {
  return md5(content, signal).catch((error) => {
    throw signal.aborted ? error : new FileChanged();
  });
}

/**
 * A file that was changed or removed fails like a network does.
 *
 * @param {Blob} content
 */
async function readable(content) {
  await content
    .slice(0, 1)
    .arrayBuffer()
    .catch(() => {
      throw new FileChanged();
    });
}
