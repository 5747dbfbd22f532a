/** Retries of requests that failed transiently: after a backoff, or as soon as there is a network. */

import { parseRetryAfter, requestDelay } from "../backoff.js";
import { RequestRefused, ServerUnreachable } from "./requests.js";

/** Failures of one request in a row. With the waits between them this takes about four minutes. */
const MAX_FAILURES = 8;
/** Refusals of content that did not arrive as it was sent. */
const DAMAGED_CODES = new Set(["checksum_mismatch", "part_too_short", "part_missing"]);

/** Another request of ours, whose answer was lost, is still at the same work. */
const IN_CHECK = "upload_in_check";

/** Conflicts that last: the post is another user's, or has another video. */
const TAKEN_CODES = new Set(["post_not_found", "post_has_asset", "playback_differs"]);

/**
 * Repeat a request until it succeeds or its failure is not transient.
 *
 * @template Answer
 * @param {(signal: AbortSignal) => Promise<Answer>} request
 * @param {(begins: boolean) => void} onWaiting A wait begins (true) or ends (false).
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function withRetries(request, onWaiting, signal) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await request(signal);
    } catch (error) {
      // A failure while the browser is offline does not count.
      if (!navigator.onLine) failures = 0;
      if (!isTransient(error) || failures === MAX_FAILURES) throw error;
      onWaiting(true);
      await wait(delayAfter(failures, error), signal).finally(() => onWaiting(false));
    }
  }
}

/**
 * @param {number} failures
 * @param {unknown} error
 */
function delayAfter(failures, error) {
  const header = error instanceof RequestRefused ? error.retryAfter : null;
  return requestDelay({ failures, retryAfterSec: parseRetryAfter(header, Date.now()) });
}

/** @param {unknown} error */
function isTransient(error) {
  if (error instanceof ServerUnreachable) return true;
  if (!(error instanceof RequestRefused)) return false;
  // A storage answers 403 to an address that has expired, and 400 to a part that was damaged or came
  // too slowly. The next try has a new address.
  const isFromStorage = (error.status === 403 || error.status === 400) && !error.code;
  return error.isTransient || isFromStorage || DAMAGED_CODES.has(error.code) || error.code === IN_CHECK;
}

/**
 * Return true if an upload can never succeed, so that nothing of it need be kept.
 *
 * @param {unknown} error
 */
export function isFinal(error) {
  if (!(error instanceof RequestRefused) || isTransient(error)) return false;
  return error.status === 413 || error.status === 422 || TAKEN_CODES.has(error.code);
}

/**
 * Wait for a time; without a network, wait until there is one. A network that comes back ends the
 * wait early.
 *
 * @param {number} delayMs
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function wait(delayMs, signal) {
  return new Promise((resolve, reject) => {
    const done = new AbortController();
    const end = (/** @type {() => void} */ settle) => {
      clearTimeout(timer);
      done.abort();
      settle();
    };
    const timer = navigator.onLine ? setTimeout(() => end(resolve), delayMs) : undefined;
    const stop = () => end(() => reject(new DOMException("", "AbortError")));
    addEventListener("online", () => end(resolve), { signal: done.signal });
    signal.addEventListener("abort", stop, { signal: done.signal });
    if (signal.aborted) stop();
  });
}
