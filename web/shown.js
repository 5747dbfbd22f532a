/** From what is to be said of a video to words in a language. */

import { say } from "./strings.js";

/** @import { Card, Description, Line } from "./types.js" */
/** @import { Shown } from "./view.js" */

/**
 * @typedef {object} Scene
 * @property {Description} described
 * @property {Card | null} card
 * @property {string | null} language Null while its words are being fetched.
 * @property {Line | null} answer What came of the last thing the viewer did.
 * @property {boolean} isBroken Playback broke off.
 * @property {boolean} isPlaying
 */

/**
 * @param {Scene} scene
 * @returns {Pick<Shown, "headline" | "details" | "action" | "play" | "dismiss" | "isNote" | "progress">}
 */
export function wordsOf({ described, card, language, answer, isBroken, isPlaying }) {
  const speak = (/** @type {Line | null} */ line) => (language && line ? say(language, line) : "");
  const dismiss = speak({ key: "dismiss" });
  if (isBroken) {
    const broken = { headline: speak({ key: "interrupted" }), action: speak({ key: "try_again" }) };
    return { ...broken, details: "", play: null, dismiss, isNote: false, progress: null };
  }
  const isNote = described.canPlay;
  const details = answer && !isPlaying ? [...described.details, answer] : described.details;
  const title = card?.title;
  const offersPlay = isNote && !isPlaying;
  return {
    headline: speak(isPlaying && answer ? answer : described.headline),
    details: details.map(speak).join(" "),
    action: described.canRetry ? speak({ key: "retry" }) : null,
    play: offersPlay ? speak(title ? { key: "play_titled", values: { title } } : { key: "play" }) : null,
    dismiss,
    isNote,
    progress: described.progress,
  };
}

/**
 * What is measured counts, then what the page declares; it never changes for the poster's sake.
 *
 * @param {Card | null} card
 * @param {string | null} width
 * @param {string | null} height
 * @returns {string} A CSS ratio.
 */
export function ratioOf(card, width, height) {
  if (card?.width && card.height) return `${card.width} / ${card.height}`;
  const declared = [Number(width), Number(height)];
  return declared.every((side) => side > 0) ? declared.join(" / ") : "16 / 9";
}
