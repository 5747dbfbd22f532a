/** From what is to be said of a video to words in a language. */

import { say } from "../words.js";

/** @import { Card, Description, Line } from "../types.js" */
/** @import { Shown } from "./view.js" */

/**
 * @typedef {object} Scene
 * @property {Description} described
 * @property {Card | null} card
 * @property {string | null} language Null while its words are being fetched.
 * @property {Line | null} answer What came of the last thing the viewer did.
 * @property {boolean} isPlaying
 */

/**
 * @param {Scene} scene
 * @returns {Pick<Shown, "headline" | "details" | "action" | "play" | "dismiss" | "isNote" | "progress">}
 */
export function wordsOf({ described, card, language, answer, isPlaying }) {
  const speak = (/** @type {Line | null} */ line) => (language && line ? say(language, line) : "");
  const { canPlay: isNote, progress, action } = described;
  const details = answer && !isPlaying ? [...described.details, answer] : described.details;
  const title = card?.title;
  const play = title ? { key: "play_titled", values: { title } } : { key: "play" };
  return {
    headline: speak(isPlaying && answer ? answer : described.headline),
    details: details.map(speak).join(" "),
    action: speak(action),
    play: isNote && !isPlaying ? speak(play) : null,
    dismiss: speak({ key: "dismiss" }),
    isNote,
    progress,
  };
}
