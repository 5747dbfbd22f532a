/** The notation of a position in a video. */

/**
 * @param {number} seconds The part below a second is cut off.
 * @returns {string} `2:03`, or `1:02:03` from an hour on.
 */
export function formatMediaTime(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}
