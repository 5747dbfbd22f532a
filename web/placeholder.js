/**
 * The picture of a video that has none yet: two colours and an angle, the same wherever they are
 * computed.
 *
 * From the last six bytes of the asset's id, which are random in UUIDs of version 4 and of version
 * 7. Numbering the sixteen bytes from 0:
 *
 *     angle  = (byte 10) mod 180 degrees
 *     first  = (byte 11 * 256 + byte 12) mod 360
 *     second = (first + 30 + (byte 13) mod 90) mod 360
 *     linear-gradient(angle, hsl(first 45% 30%), hsl(second 50% 20%))
 *
 * Both are dark enough for white text (contrast over 4.5 at any hue).
 */

const FIRST_DIGIT = 20;

/**
 * @param {string} assetId A UUID.
 * @returns {string | null} A CSS image, or null when it is no UUID.
 */
export function placeholderOf(assetId) {
  const digits = assetId.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(digits)) return null;
  const byte = (/** @type {number} */ index) =>
    Number.parseInt(digits.slice(FIRST_DIGIT + 2 * index, FIRST_DIGIT + 2 * index + 2), 16);
  const angle = byte(0) % 180;
  const first = (byte(1) * 256 + byte(2)) % 360;
  const second = (first + 30 + (byte(3) % 90)) % 360;
  return `linear-gradient(${angle}deg, hsl(${first} 45% 30%), hsl(${second} 50% 20%))`;
}
