/** The content of the player's view: words in a language, picture and shape. Pure. */

import { translate } from "../words.js";

/** @import { Card, Description, Line } from "../types.js" */
/** @import { ViewContent } from "./view.js" */

/**
 * @typedef {object} ContentInput
 * @property {Description} described
 * @property {Card | null} card
 * @property {string | null} language Null while its words are being loaded.
 * @property {Line | null} answer The result of the viewer's last action.
 * @property {boolean} isPlaying
 */

/**
 * @param {ContentInput} input
 * @returns {Omit<ViewContent, "poster" | "ratio">}
 */
export function viewContent({ described, card, language, answer, isPlaying }) {
  const write = (/** @type {Line | null} */ line) => (language && line ? translate(language, line) : "");
  const { state, canPlay: isNote, progress, action } = described;
  const details = answer && !isPlaying ? [...described.details, answer] : described.details;
  const title = card?.title;
  const play = title ? { key: "play_titled", values: { title } } : { key: "play" };
  return {
    state,
    headline: write(isPlaying && answer ? answer : described.headline),
    details: details.map(write).join(" "),
    action: write(action),
    play: isNote && !isPlaying ? write(play) : null,
    dismiss: write({ key: "dismiss" }),
    isNote,
    isPlaying,
    progress,
    placeholder: card && placeholderGradient(card.asset_id),
  };
}

/**
 * Return the frame's aspect ratio: the measured size of the video, else the size that the page
 * declares, else 16:9. The poster's size does not matter.
 *
 * @param {Card | null} card
 * @param {string | null} width
 * @param {string | null} height
 * @returns {string} A CSS ratio.
 */
export function aspectRatio(card, width, height) {
  if (card?.width && card.height) return `${card.width} / ${card.height}`;
  const declared = [Number(width), Number(height)];
  return declared.every((side) => side > 0) ? declared.join(" / ") : "16 / 9";
}

/**
 * Compute the placeholder of a video that has no poster yet: two colours and an angle. Every client
 * that follows this definition draws the same picture.
 *
 * The input is the last six bytes of the asset's id, which are random in UUIDs of version 4 and of
 * version 7. With the sixteen bytes numbered from 0:
 *
 *     angle  = (byte 10) mod 180 degrees
 *     first  = (byte 11 * 256 + byte 12) mod 360
 *     second = (first + 30 + (byte 13) mod 90) mod 360
 *     linear-gradient(angle, hsl(first 45% 30%), hsl(second 50% 20%))
 *
 * Both colours are dark enough for white text (contrast over 4.5 at any hue).
 *
 * @param {string} assetId A UUID.
 * @returns {string | null} A CSS image; null if the id is not a UUID.
 */
export function placeholderGradient(assetId) {
  const digits = assetId.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(digits)) return null;
  const byte = (/** @type {number} */ index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16);
  const angle = byte(10) % 180;
  const first = (byte(11) * 256 + byte(12)) % 360;
  const second = (first + 30 + (byte(13) % 90)) % 360;
  return `linear-gradient(${angle}deg, hsl(${first} 45% 30%), hsl(${second} 50% 20%))`;
}
