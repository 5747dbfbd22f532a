/** The waits between requests. */

const FIRST_MS = 4000;
const FAILED_FIRST_MS = 1000;
const CEILING_MS = 60_000;
const RETRY_AFTER_CEILING_SEC = 3600;

/**
 * @typedef {object} PastRequests
 * @property {number} failures Requests in a row that failed.
 * @property {number} [quiet] Answers in a row that brought no change.
 * @property {number | null} [retryAfterSec] The server's Retry-After. The wait is never shorter.
 */

/**
 * Compute the wait before the next request, with equal jitter: pages that lost the server at the
 * same time do not return at the same time.
 *
 * @param {PastRequests} past
 * @param {() => number} [random] 0 to 1.
 * @returns {number} Milliseconds.
 */
export function requestDelay({ failures, quiet = 0, retryAfterSec = null }, random = Math.random) {
  const grown = failures ? FAILED_FIRST_MS * 2 ** failures : FIRST_MS * 1.5 ** quiet;
  const delay = Math.min(CEILING_MS, grown) * (0.75 + random() / 2);
  if (retryAfterSec === null) return delay;
  return Math.max(delay, retryAfterSec * 1000 * (1 + random() / 4));
}

/**
 * Parse a Retry-After header.
 *
 * @param {string | null} header Seconds, or a date (RFC 9110, 10.2.3).
 * @param {number} now
 * @returns {number | null} Seconds, at most an hour.
 */
export function parseRetryAfter(header, now) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isNaN(seconds) ? null : Math.min(RETRY_AFTER_CEILING_SEC, Math.max(0, seconds));
}
