/**
 * One upload: a ticket, the bytes, the checks, the video. docs/operations.md has the protocol.
 *
 * A request that failed is retried, part by part. The server tells which parts it has: a part that
 * has arrived is not sent again.
 */

import { md5 } from "./md5.js";
import { RequestRefused, ServerUnreachable, requestJson, sendContent } from "./requests.js";
import { isFinal, withRetries } from "./retry.js";
import { loadUpload, removeUpload, storeUpload } from "./stored-uploads.js";
import { randomUuid } from "./uuid.js";

/** @import { UploadApi } from "./requests.js" */
/** @import { StoredUpload } from "./stored-uploads.js" */

const PARALLEL = 3;
/** Codes of a ticket whose upload was swept, or abandoned in another window. */
const LOST_CODES = new Set(["upload_not_found", "upload_expired"]);
const MAX_COMPLETIONS = 3;

/** A file that can no longer be read as it was chosen. */
export class FileChanged extends Error {}

/** @typedef {"sending" | "checking" | "registering"} UploadStage The last one cannot be cancelled. */

/**
 * @typedef {object} UploadOptions
 * @property {File} file
 * @property {string} type The media type that the server is told.
 * @property {string} postId
 * @property {string} key The key in the browser's storage.
 * @property {object} declared Further fields of the create request.
 * @property {number | null} posterTime Seconds.
 * @property {(ticket: StoredUpload) => void} onTicket
 * @property {(bytes: number) => void} onBytes The bytes that have arrived or are being sent.
 * @property {(isWaiting: boolean) => void} onWaiting It waits for a network or a server.
 * @property {(stage: UploadStage) => void} onStage
 */

export class FileUpload {
  /** @type {Map<number, number>} Bytes by part. */
  #sent = new Map();
  /** @type {StoredUpload | null} */
  #ticket = null;
  #stopping = new AbortController();
  #waiting = 0;

  /**
   * @param {UploadApi} api
   * @param {UploadOptions} options
   */
  constructor(api, options) {
    this.api = api;
    this.options = options;
  }

  /**
   * Send the missing parts and register the video. After `pause` this resumes the upload.
   *
   * @returns {Promise<object>} The owner's document of the video.
   * @throws {RequestRefused} The server refuses it; its sentence says why.
   * @throws {ServerUnreachable} The server did not answer for minutes.
   * @throws {FileChanged}
   * @throws {DOMException} AbortError: it was paused or abandoned.
   */
  async run() {
    this.#stopping = new AbortController();
    this.#waiting = 0;
    try {
      return await this.#uploadWithTicket();
    } catch (error) {
      // Parts that are still being sent would fail one after the other.
      this.#stopping.abort();
      if (isFinal(error)) void this.abandon();
      throw error;
    }
  }

  /** Stop sending. The server keeps the parts that have arrived. */
  pause() {
    this.#stopping.abort();
  }

  /** Abandon the upload and delete its parts. If the server is not reached, a sweep deletes them later. */
  async abandon() {
    this.#stopping.abort();
    removeUpload(this.options.key);
    if (this.#ticket) await abandonUpload(this.api, this.#ticket).catch(() => undefined);
  }

  async #uploadWithTicket() {
    try {
      return await this.#sendAll(await this.#knownTicket());
    } catch (error) {
      if (!(error instanceof RequestRefused && LOST_CODES.has(error.code))) throw error;
      removeUpload(this.options.key);
      this.#sent.clear();
      return this.#sendAll(await this.#newTicket());
    }
  }

  async #knownTicket() {
    const known = this.#ticket ?? loadUpload(this.options.key);
    // The author may have picked another poster since.
    return known ? this.#setTicket({ ...known, posterTime: this.options.posterTime }) : this.#newTicket();
  }

  async #newTicket() {
    const { file, type, postId, posterTime } = this.options;
    const body = { post_id: postId, filename: file.name, size_bytes: file.size, mime_type: type };
    // Repeated requests with the same key get the same ticket.
    const headers = { "Idempotency-Key": randomUuid() };
    const ticket = await this.#retry((signal) => this.api.post("/api/uploads", body, headers, signal));
    return this.#setTicket({
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

  /** @param {StoredUpload} ticket */
  #setTicket(ticket) {
    const isNew = this.#ticket?.uploadId !== ticket.uploadId;
    this.#ticket = ticket;
    storeUpload(this.options.key, ticket);
    if (isNew) this.options.onTicket(ticket);
    return ticket;
  }

  /** @param {StoredUpload} ticket */
  async #sendAll(ticket) {
    for (let completions = 1; ; completions += 1) {
      this.options.onStage("sending");
      const isComplete = await this.#sendMissing(ticket);
      this.options.onStage("checking");
      try {
        if (!isComplete) await this.#post(`/api/uploads/${ticket.uploadId}/complete`, null);
        break;
      } catch (error) {
        const isIncomplete = error instanceof RequestRefused && error.code === "upload_incomplete";
        if (!isIncomplete || completions === MAX_COMPLETIONS) throw error;
      }
    }
    this.options.onStage("registering");
    const body = { post_id: ticket.postId, upload_id: ticket.uploadId, ...this.options.declared };
    // Without an Idempotency-Key: an upload makes one video, and the declared fields may have changed.
    const video = await this.#post("/api/video-assets/create", body);
    removeUpload(this.options.key);
    return video;
  }

  /**
   * @param {string} path
   * @param {object | null} body
   */
  #post(path, body) {
    return this.#retry((signal) => this.api.post(path, body, {}, signal));
  }

  /**
   * @param {StoredUpload} ticket
   * @returns {Promise<boolean>} True if the upload was completed before.
   */
  async #sendMissing(ticket) {
    const state = await this.#retry((signal) => requestJson("GET", ticket.url, null, ticket.headers, signal));
    this.#sent.clear();
    for (const part of state.parts) this.#progress(part.number, part.size_bytes);
    if (state.completed_at) return true;
    if (ticket.wholeUrl) {
      if (state.parts.length === 0) await this.#retry((signal) => this.#sendWhole(ticket, signal));
      return false;
    }
    const arrived = new Set(this.#sent.keys());
    const numbers = Array.from({ length: state.part_count }, (_, index) => index + 1);
    const missing = numbers.filter((number) => !arrived.has(number));
    await Promise.all(Array.from({ length: PARALLEL }, () => this.#sendFrom(missing, ticket)));
    return false;
  }

  /**
   * @param {StoredUpload} ticket
   * @param {AbortSignal} signal
   */
  async #sendWhole({ headers, wholeUrl }, signal) {
    const { file } = this.options;
    const checked = { ...headers, "Content-MD5": await md5OfFile(file, signal) };
    await this.#put({ method: "PUT", url: `${wholeUrl}`, headers: checked }, file, 1, signal);
  }

  /**
   * Send parts from the list until it is empty.
   *
   * @param {number[]} missing
   * @param {StoredUpload} ticket
   */
  async #sendFrom(missing, ticket) {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      const part = number;
      await this.#retry((signal) => this.#sendPart(part, ticket, signal));
    }
  }

  /**
   * @param {number} number
   * @param {StoredUpload} ticket
   * @param {AbortSignal} signal
   */
  async #sendPart(number, { headers, partsUrl, partBytes }, signal) {
    const size = partBytes ?? 0;
    const content = this.options.file.slice((number - 1) * size, number * size);
    const body = { numbers: [number], md5: { [number]: await md5OfFile(content, signal) } };
    const { parts } = await requestJson("POST", `${partsUrl}`, body, headers, signal);
    const etag = await this.#put(parts[0], content, number, signal);
    await requestJson("POST", `${partsUrl}/${number}`, { etag: etag || null }, headers, signal);
  }

  /**
   * @param {{ method: string, url: string, headers: Record<string, string> }} target
   * @param {Blob} content
   * @param {number} number
   * @param {AbortSignal} signal
   */
  async #put(target, content, number, signal) {
    try {
      return await sendContent(target, content, (bytes) => this.#progress(number, bytes), signal);
    } catch (error) {
      // A paused upload still shows its progress.
      if (!signal.aborted) this.#progress(number, 0);
      if (error instanceof ServerUnreachable) await requireReadable(content);
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
    this.options.onBytes(Math.min(total, this.options.file.size));
  }

  /**
   * @template Answer
   * @param {(signal: AbortSignal) => Promise<Answer>} request
   */
  #retry(request) {
    const onWaiting = (/** @type {boolean} */ begins) => {
      this.#waiting += begins ? 1 : -1;
      this.options.onWaiting(this.#waiting > 0);
    };
    return withRetries(request, onWaiting, this.#stopping.signal);
  }
}

/**
 * Tell the server that an upload is abandoned. If a video was made of it and the answer that said so
 * was lost, delete the video.
 *
 * @param {UploadApi} api
 * @param {StoredUpload} ticket
 * @throws {RequestRefused}
 * @throws {ServerUnreachable}
 */
export async function abandonUpload(api, { url, headers, postId, uploadId }) {
  try {
    await requestJson("DELETE", url, null, headers);
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error;
    if (LOST_CODES.has(error.code)) return;
    if (error.code !== "upload_completed") throw error;
    const video = `/api/video-assets/${postId}`;
    const known = await api.get(video).catch(nullIfNotFound);
    // The post may have the video of another upload, which was not abandoned.
    if (known?.id === uploadId) await api.delete(video).catch(nullIfNotFound);
  }
}

/** @param {unknown} error */
function nullIfNotFound(error) {
  if (error instanceof RequestRefused && error.status === 404) return null;
  throw error;
}

/**
 * Compute the digest by which the server detects content that was damaged on its way.
 *
 * @param {Blob} content
 * @param {AbortSignal} signal
 */
async function md5OfFile(content, signal) {
  return md5(content, signal).catch((error) => {
    throw signal.aborted ? error : new FileChanged();
  });
}

/**
 * Tell a changed file from a failed network: browsers report both as a failed request.
 *
 * @param {Blob} content
 * @throws {FileChanged}
 */
async function requireReadable(content) {
  await content
    .slice(0, 1)
    .arrayBuffer()
    .catch(() => {
      throw new FileChanged();
    });
}
