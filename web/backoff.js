/** How long to wait before asking again. Milliseconds; randomness is an argument. */

const FIRST_MS = 4000;
const FAILED_FIRST_MS = 1000;
const CEILING_MS = 60_000;
const RETRY_AFTER_CEILING_SEC = 3600;

/**
 * Equal jitter, so that pages which lost the server together do not come back together.
 *
 * @param {object} past
 * @param {number} past.failures Requests in a row that failed.
 * @param {number} past.quiet Answers in a row that brought nothing new.
 * @param {number | null} [past.retryAfterSec] What the server asked for: never undercut.
 * @param {() => number} [random] 0 to 1.
 */
export function pollDelay({ failures, quiet, retryAfterSec = null }, random = Math.random) {
  const grown = failures ? FAILED_FIRST_MS * 2 ** failures : FIRST_MS * 1.5 ** quiet;
  const delay = Math.min(CEILING_MS, grown) * (0.75 + random() / 2);
  if (retryAfterSec === null) return delay;
  return Math.max(delay, retryAfterSec * 1000 * (1 + random() / 4));
}

/**
 * @param {string | null} header Seconds, or a date (RFC 9110, 10.2.3).
 * @param {number} now
 * @returns {number | null} Seconds, at most an hour.
 */
export function retryAfter(header, now) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isNaN(seconds) ? null : Math.min(RETRY_AFTER_CEILING_SEC, Math.max(0, seconds));
}
