/** From where the composer stands, and what went wrong, to words in a language. Pure. */

import { say } from "../words.js";
import { Refused, Unreachable } from "./requests.js";
import { FileChanged } from "./file-upload.js";
import { clock, sizeInWords } from "./video-file.js";

/** @import { Line } from "../types.js" */
/** @import { Measured } from "./video-file.js" */
/** @import { Stage } from "./file-upload.js" */
/** @import { Shown } from "./view.js" */

/** @typedef {"empty" | "reading" | "ready" | "uploading" | "paused" | "failed" | "done"} Phase */

/**
 * @typedef {object} Scene
 * @property {Phase} phase
 * @property {File | null} file
 * @property {Measured | null} measured
 * @property {Line | null} problem
 * @property {string | null} unfinished The name of a file whose upload was interrupted.
 * @property {boolean} isKnown Whether the chosen file's upload was interrupted.
 * @property {boolean} isWaiting
 * @property {boolean} isOnline
 * @property {Stage} stage
 * @property {boolean} isFinal Whether what failed would fail again.
 * @property {boolean} isPicked Whether the frame that shows was picked to stand for the video.
 * @property {number} bytes
 */

/** @type {Record<Phase, Shown["actions"]>} */
const ACTIONS = {
  empty: { choose: "composer_choose" },
  reading: { other: "composer_other" },
  ready: { publish: "composer_publish", other: "composer_other" },
  uploading: { pause: "composer_pause", cancel: "composer_cancel" },
  paused: { resume: "composer_resume", cancel: "composer_cancel" },
  failed: { again: "composer_again", other: "composer_other" },
  done: { other: "composer_other" },
};

/**
 * @param {Scene} scene
 * @param {string} language
 * @returns {Shown}
 */
export function wordsOf(scene, language) {
  const { phase, file, measured, unfinished, bytes } = scene;
  const speak = (/** @type {Line} */ line) => say(language, line);
  const isMoving = phase === "uploading" || phase === "paused";
  const hint = unfinished
    ? speak({ key: "composer_unfinished", values: { name: unfinished } })
    : speak({ key: "composer_drop" });
  return {
    phase,
    hint,
    name: file?.name ?? "",
    facts: file ? factsOf(file, measured, language) : [],
    frameLabel: speak(frameOf(scene)),
    durationSec: phase === "ready" && measured?.width ? measured.durationSec : null,
    status: speak(statusOf(scene, language)),
    progress: isMoving && file ? Math.floor((100 * bytes) / file.size) : null,
    problem: scene.problem ? speak(scene.problem) : "",
    actions: actionsOf(scene, language),
  };
}

/**
 * What the frame that shows is: until one is picked, the server chooses another.
 *
 * @param {Scene} scene
 * @returns {Line}
 */
function frameOf({ isPicked }) {
  return { key: isPicked ? "composer_frame" : "composer_frame_unpicked" };
}

/**
 * @param {Scene} scene
 * @param {string} language
 * @returns {Shown["actions"]}
 */
function actionsOf({ phase, unfinished, isKnown, stage, isFinal }, language) {
  // Cancelled now, it might become a video all the same.
  if (phase === "uploading" && stage === "registering") return {};
  /** @type {Shown["actions"]} */
  const keys = { ...ACTIONS[phase] };
  if (phase === "ready" && isKnown) keys.publish = "composer_resume_upload";
  if (phase === "empty" && unfinished) keys.discard = "composer_discard";
  if (phase === "failed" && isFinal) delete keys.again;
  return Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, say(language, { key })]));
}

/**
 * Why an upload failed: in the page's language where its code is known, else as the server says.
 *
 * @param {unknown} error
 * @returns {Line}
 */
export function reasonOf(error) {
  if (error instanceof FileChanged) return { key: "composer_file_changed" };
  if (error instanceof Unreachable) return { key: "composer_unreachable" };
  if (error instanceof Refused && error.detail) return { key: `error.${error.code}`, text: error.detail };
  return { key: "composer_refused" };
}

/**
 * Whether an upload may end with it; everything else is a fault of ours, or of the page's.
 *
 * @param {unknown} error
 */
export function isForeseen(error) {
  return [FileChanged, Unreachable, Refused].some((kind) => error instanceof kind);
}

/**
 * @param {Scene} scene
 * @param {string} language
 * @returns {Line}
 */
function statusOf({ phase, file, measured, isWaiting, isOnline, stage, bytes }, language) {
  if (phase === "reading") return { key: "composer_reading" };
  if (phase === "ready") return measured?.width ? {} : { key: "composer_no_preview" };
  if (phase === "done") return { key: "composer_done" };
  if (phase === "paused") return { key: "composer_paused" };
  if (phase !== "uploading" || !file) return {};
  if (!isOnline) return { key: "composer_offline" };
  if (isWaiting) return { key: "composer_waiting" };
  if (stage !== "sending") return { key: "composer_checking" };
  const values = { percent: Math.floor((100 * bytes) / file.size), size: sizeInWords(language, file.size) };
  return { key: "composer_progress", values };
}

/**
 * @param {File} file
 * @param {Measured | null} measured
 * @param {string} language
 * @returns {[string, string][]}
 */
function factsOf(file, measured, language) {
  /** @type {[string, string][]} */
  const facts = [["composer_size", sizeInWords(language, file.size)]];
  if (measured?.durationSec) facts.push(["composer_length", clock(measured.durationSec)]);
  if (measured?.width) facts.push(["composer_shape", `${measured.width} × ${measured.height}`]);
  return facts.map(([key, value]) => [say(language, { key }), value]);
}
