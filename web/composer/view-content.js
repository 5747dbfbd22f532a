/** The content of the composer's view: words in a language, facts, and the possible actions. Pure. */

import { formatMediaTime } from "../media-time.js";
import { translate } from "../words.js";
import { FileChanged } from "./file-upload.js";
import { RequestRefused, ServerUnreachable } from "./requests.js";
import { formatBytes } from "./video-file.js";

/** @import { Line } from "../types.js" */
/** @import { MeasuredVideo } from "./video-file.js" */
/** @import { UploadStage } from "./file-upload.js" */
/** @import { ViewContent } from "./view.js" */

/** @typedef {"empty" | "reading" | "ready" | "uploading" | "paused" | "failed" | "done"} Phase */

/**
 * @typedef {object} ContentInput
 * @property {Phase} phase
 * @property {File | null} file
 * @property {MeasuredVideo | null} measured
 * @property {Line | null} problem
 * @property {string | null} unfinished The name of a file whose upload was interrupted.
 * @property {boolean} isInterrupted The upload of the chosen file was interrupted.
 * @property {boolean} isWaiting
 * @property {boolean} isOnline
 * @property {UploadStage} stage
 * @property {boolean} isFinal A further try would fail, too.
 * @property {boolean} isPosterPicked The author picked the shown frame as the poster.
 * @property {number} bytes
 */

/** @type {Record<Phase, ViewContent["actions"]>} */
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
 * @param {ContentInput} input
 * @param {string} language
 * @returns {ViewContent}
 */
export function viewContent(input, language) {
  const { phase, file, measured, problem, unfinished, isPosterPicked } = input;
  const write = (/** @type {Line} */ line) => translate(language, line);
  const isInProgress = phase === "uploading" || phase === "paused";
  return {
    phase,
    hint: write(hintOf(unfinished)),
    name: file?.name ?? "",
    facts: file ? factsOf(file, measured, language) : [],
    // Without a pick the server chooses another frame than the one that is shown.
    frameLabel: write({ key: isPosterPicked ? "composer_frame" : "composer_frame_unpicked" }),
    durationSec: phase === "ready" && measured?.width ? measured.durationSec : null,
    status: write(statusOf(input, language)),
    progress: isInProgress && file ? percentOf(input.bytes, file) : null,
    problem: problem ? write(problem) : "",
    actions: actionsOf(input, language),
  };
}

/**
 * @param {string | null} unfinished The name of a file.
 * @returns {Line}
 */
function hintOf(unfinished) {
  return unfinished ? { key: "composer_unfinished", values: { name: unfinished } } : { key: "composer_drop" };
}

/**
 * @param {number} bytes
 * @param {File | null} file
 */
export function percentOf(bytes, file) {
  return file ? Math.floor((100 * bytes) / file.size) : 0;
}

/**
 * @param {ContentInput} input
 * @param {string} language
 * @returns {ViewContent["actions"]}
 */
function actionsOf({ phase, unfinished, isInterrupted, stage, isFinal }, language) {
  // A cancel during registration may come too late to prevent the video.
  if (phase === "uploading" && stage === "registering") return {};
  /** @type {ViewContent["actions"]} */
  const keys = { ...ACTIONS[phase] };
  if (phase === "ready" && isInterrupted) keys.publish = "composer_resume_upload";
  if (phase === "empty" && unfinished) keys.discard = "composer_discard";
  if (phase === "failed" && isFinal) delete keys.again;
  return Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, translate(language, { key })]));
}

/**
 * Return the reason of a failure: a word for its code if the page's language has one, else the
 * server's sentence.
 *
 * @param {unknown} error
 * @returns {Line}
 */
export function failureReason(error) {
  if (error instanceof FileChanged) return { key: "composer_file_changed" };
  if (error instanceof ServerUnreachable) return { key: "composer_unreachable" };
  if (error instanceof RequestRefused && error.detail) return { key: `error.${error.code}`, text: error.detail };
  return { key: "composer_refused" };
}

/**
 * Return true if an upload may end with this error. Any other is a bug of ours, or of the page's.
 *
 * @param {unknown} error
 */
export function isExpected(error) {
  return [FileChanged, ServerUnreachable, RequestRefused].some((kind) => error instanceof kind);
}

/**
 * @param {ContentInput} input
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
  const values = { percent: percentOf(bytes, file), size: formatBytes(language, file.size) };
  return { key: "composer_progress", values };
}

/**
 * @param {File} file
 * @param {MeasuredVideo | null} measured
 * @param {string} language
 * @returns {[string, string][]}
 */
function factsOf(file, measured, language) {
  /** @type {[string, string][]} */
  const facts = [["composer_size", formatBytes(language, file.size)]];
  if (measured?.durationSec) facts.push(["composer_length", formatMediaTime(Math.round(measured.durationSec))]);
  if (measured?.width) facts.push(["composer_shape", `${measured.width} × ${measured.height}`]);
  return facts.map(([key, value]) => [translate(language, { key }), value]);
}
