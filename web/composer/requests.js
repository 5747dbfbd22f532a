/** The requests of an upload: bytes with their progress, questions with their answers. */

/** @import { TokenProvider } from "../types.js" */

/** Codes of refusals that end in seconds. Other limits last; their sentence says how long. */
const BRIEF_CODES = new Set(["rate_limited", "owner_busy", "idempotency_in_flight"]);

/** A refusal: the server answered with an error. */
export class RequestRefused extends Error {
  /**
   * @param {number} status
   * @param {string} code Machine-readable; empty if the server gave none.
   * @param {string} detail The server's own sentence.
   * @param {string | null} retryAfter The header.
   */
  constructor(status, code, detail, retryAfter) {
    super(detail || `${status}`);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }

  /** Return true if the same request may succeed a little later. */
  get isTransient() {
    // A 429 without a code comes from a proxy or a storage, which have no quotas.
    const isRateLimit = this.status === 429 && !this.code;
    return this.status >= 500 || this.status === 408 || isRateLimit || BRIEF_CODES.has(this.code);
  }
}

/** A request without an answer. */
export class ServerUnreachable extends Error {}

/**
 * Send part of a file. The browser reads it from disk while it sends it.
 *
 * @param {{ method: string, url: string, headers: Record<string, string> }} target
 * @param {Blob} content
 * @param {(bytes: number) => void} onProgress The bytes sent so far.
 * @param {AbortSignal} signal
 * @returns {Promise<string>} The ETag; empty if the server hides it from pages.
 */
export function sendContent({ method, url, headers }, content, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request.getResponseHeader("ETag") ?? "");
      else reject(refusalOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = request.ontimeout = () => reject(new ServerUnreachable());
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) reject(new DOMException("", "AbortError"));
    else request.send(content);
  });
}

/** The API, called with the token of the page's user. */
export class UploadApi {
  /**
   * @param {string} base Without a slash at its end.
   * @param {TokenProvider} tokenProvider
   */
  constructor(base, tokenProvider) {
    this.base = base;
    this.tokenProvider = tokenProvider;
  }

  /**
   * @param {string} path
   * @param {object | null} body
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal
   */
  post(path, body, headers, signal) {
    return this.#request("POST", path, body, headers, signal);
  }

  /** @param {string} path */
  get(path) {
    return this.#request("GET", path, null, {});
  }

  /** @param {string} path */
  delete(path) {
    return this.#request("DELETE", path, null, {});
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object | null} body
   * @param {Record<string, string>} headers
   * @param {AbortSignal} [signal]
   */
  async #request(method, path, body, headers, signal) {
    const token = await this.tokenProvider();
    const authority = token && { Authorization: `Bearer ${token}` };
    return requestJson(method, this.base + path, body, { ...authority, ...headers }, signal);
  }
}

/**
 * @param {string} method
 * @param {string} url
 * @param {object | null} body
 * @param {Record<string, string>} headers
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} The answer's document; null if it has none.
 * @throws {RequestRefused}
 * @throws {ServerUnreachable}
 */
export async function requestJson(method, url, body, headers, signal) {
  const content = body && { body: JSON.stringify(body) };
  const typed = body ? { "Content-Type": "application/json", ...headers } : headers;
  const options = { method, headers: typed, cache: /** @type {const} */ ("no-store"), ...content };
  const answer = await fetch(url, { ...options, ...(signal && { signal }) }).catch(throwUnreachable);
  const text = await answer.text().catch(throwUnreachable);
  if (!answer.ok) throw refusalOf(answer.status, text, answer.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

/**
 * @param {Error} error
 * @returns {never}
 */
function throwUnreachable(error) {
  throw error.name === "AbortError" ? error : new ServerUnreachable();
}

/**
 * @param {number} status
 * @param {string} text
 * @param {string | null} retryAfter
 */
function refusalOf(status, text, retryAfter) {
  const { code = "", detail = "" } = parseProblem(text);
  return new RequestRefused(status, code, detail, retryAfter);
}

/**
 * @param {string} text
 * @returns {{ code?: string, detail?: string }} Empty if the text is no problem document of the API.
 */
function parseProblem(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
