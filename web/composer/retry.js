/** Trying again what failed in passing: after a while, or as soon as there is a network. */

import { pollDelay, retryAfter } from "../backoff.js";
import { Refused, Unreachable } from "./requests.js";

/** Failures of one request in a row: with the waits between them, about four minutes. */
const MOST_FAILURES = 8;
/** What did not arrive as it was sent. */
const SENT_AGAIN = new Set(["checksum_mismatch", "part_too_short", "part_missing"]);

/** Conflicts that last: the post is somebody else's, or has another video. */
const TAKEN = new Set(["post_not_found", "post_has_asset", "playback_differs"]);

/**
 * Ask until there is an answer that stands.
 *
 * @template Answer
 * @param {(signal: AbortSignal) => Promise<Answer>} request
 * @param {(begins: boolean) => void} onWaiting A wait begins, or is over.
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function insist(request, onWaiting, signal) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await request(signal);
    } catch (error) {
      // While the browser knows that it is offline, nothing has been tried.
      if (!navigator.onLine) failures = 0;
      if (!isPassing(error) || failures === MOST_FAILURES) throw error;
      onWaiting(true);
      await pause(delayOf(failures, error), signal).finally(() => onWaiting(false));
    }
  }
}

/**
 * @param {number} failures
 * @param {unknown} error
 */
function delayOf(failures, error) {
  const header = error instanceof Refused ? error.retryAfter : null;
  return pollDelay({ failures, quiet: 0, retryAfterSec: retryAfter(header, Date.now()) });
}

/** @param {unknown} error */
function isPassing(error) {
  if (error instanceof Unreachable) return true;
  if (!(error instanceof Refused)) return false;
  // A storage answers 403 to an address that has ended, and 400 to a part that was damaged or came
  // too slowly: the next try has a new address.
  const isStorages = (error.status === 403 || error.status === 400) && !error.code;
  return error.isPassing || isStorages || SENT_AGAIN.has(error.code);
}

/**
 * Whether nothing more can come of an upload, so that nothing of it need be kept.
 *
 * @param {unknown} error
 */
export function isFinal(error) {
  if (!(error instanceof Refused) || isPassing(error)) return false;
  return error.status === 413 || error.status === 422 || TAKEN.has(error.code);
}

/**
 * Wait, but for a network no longer than until it is there.
 *
 * @param {number} delayMs
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(delayMs, signal) {
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
