/** Requests of an upload: bytes with their progress, questions with their answers. */

/** @import { TokenProvider } from "../types.js" */

/** Codes of refusals that are over in seconds. Other limits last, and their sentence says how long. */
const BRIEF = new Set(["rate_limited", "owner_busy", "idempotency_in_flight"]);

/** The server answered, and not with what was asked for. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code Machine-readable; empty where the server gave none.
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

  /** Whether the same request may succeed a little later. */
  get isPassing() {
    // What gives no code is a proxy or a storage, which knows no quotas.
    const isHaste = this.status === 429 && !this.code;
    return this.status >= 500 || this.status === 408 || isHaste || BRIEF.has(this.code);
  }
}

/** There was no answer. */
export class Unreachable extends Error {}

/**
 * Send part of a file. The browser reads it from disk while it sends it.
 *
 * @param {{ method: string, url: string, headers: Record<string, string> }} request
 * @param {Blob} content
 * @param {(bytes: number) => void} onProgress How much of it has been sent.
 * @param {AbortSignal} signal
 * @returns {Promise<string>} The ETag, or an empty string where none is shown to pages.
 */
export function send({ method, url, headers }, content, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request.getResponseHeader("ETag") ?? "");
      else reject(refusal(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = request.ontimeout = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) reject(new DOMException("", "AbortError"));
    else request.send(content);
  });
}

export class Api {
  /**
   * @param {string} base Without a slash at its end.
   * @param {TokenProvider} tokenProvider
   */
  constructor(base, tokenProvider) {
    this.base = base;
    this.tokenProvider = tokenProvider;
  }

  /**
   * Ask as whoever is signed in.
   *
   * @param {string} path
   * @param {object | null} body
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal
   */
  post(path, body, headers, signal) {
    return this.#ask("POST", path, body, headers, signal);
  }

  /** @param {string} path */
  get(path) {
    return this.#ask("GET", path, null, {});
  }

  /** @param {string} path */
  delete(path) {
    return this.#ask("DELETE", path, null, {});
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object | null} body
   * @param {Record<string, string>} headers
   * @param {AbortSignal} [signal]
   */
  async #ask(method, path, body, headers, signal) {
    const token = await this.tokenProvider();
    const authority = token && { Authorization: `Bearer ${token}` };
    return ask(method, this.base + path, body, { ...authority, ...headers }, signal);
  }
}

/**
 * @param {string} method
 * @param {string} url
 * @param {object | null} body
 * @param {Record<string, string>} headers
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} The answer's document; null where it has none.
 */
export async function ask(method, url, body, headers, signal) {
  const content = body && { body: JSON.stringify(body) };
  const typed = body ? { "Content-Type": "application/json", ...headers } : headers;
  const options = { method, headers: typed, cache: /** @type {const} */ ("no-store"), ...content };
  const answer = await fetch(url, { ...options, ...(signal && { signal }) }).catch(brokenOff);
  const text = await answer.text().catch(brokenOff);
  if (!answer.ok) throw refusal(answer.status, text, answer.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

/**
 * @param {Error} error
 * @returns {never}
 */
function brokenOff(error) {
  throw error.name === "AbortError" ? error : new Unreachable();
}

/**
 * @param {number} status
 * @param {string} text
 * @param {string | null} retryAfter
 */
function refusal(status, text, retryAfter) {
  const { code = "", detail = "" } = parsed(text);
  return new Refused(status, code, detail, retryAfter);
}

/**
 * @param {string} text
 * @returns {{ code?: string, detail?: string }} Nothing where it is no problem document of ours.
 */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
