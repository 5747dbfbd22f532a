/** The words for a video's owner: progress, reason of a failure, next action. Pure. */

import { addWords, valueFormats } from "../words.js";
import { describe } from "./video-state.js";

/** @import { Card, Description, Line, Situation } from "../types.js" */

addWords("en", {
  pending_own: "Your video has not arrived in full yet. If its upload stopped, choose the file again.",
  not_arrived: "The upload of your video was not finished.",
  queued: "Your video is in the queue",
  position: "Place in the queue: {position}.",
  starts: "Starts about {when}.",
  held: "Waiting for the processing service. Nothing is lost.",
  verifying: "Checking your video",
  waiting: "Waiting for processing to begin",
  encoding: "Processing your video",
  retrying: "Processing was interrupted and goes on by itself",
  next_attempt: "Attempt {attempt} {when}.",
  next_attempt_of: "Attempt {attempt} of {most} {when}.",
  failed: "This video could not be processed",
  retry: "Retry",
});

valueFormats["when"] = formatRelativeTime;

const STEPS = new Set(["verifying", "waiting", "encoding", "checking"]);

/** @type {Record<string, string>} Owners' headlines of a post without a video, by the visitors'. */
const HEADLINES_WITHOUT_CARD = { pending: "pending_own", unavailable: "not_arrived" };

/**
 * @param {Situation} situation One that `concernsOwner`.
 * @returns {Description}
 */
export function describeForOwner(situation) {
  const { card, now } = situation;
  const described = describe(situation);
  if (!card) return describeWithoutCard(described);
  return {
    ...described,
    headline: { key: headlineKey(card) },
    details: detailsFor(described, card, now),
    action: card.status === "failed" && card.retryable ? { key: "retry" } : null,
  };
}

/** @param {Description} described The description for visitors. */
function describeWithoutCard(described) {
  const key = HEADLINES_WITHOUT_CARD[described.headline?.key ?? ""];
  return key ? { ...described, headline: { key } } : described;
}

/** @param {Card} card */
function headlineKey({ status, step, hold_reason: holdReason }) {
  if (status === "failed") return "failed";
  if (holdReason) return "held";
  if (status !== "processing") return status;
  return step && STEPS.has(step) ? step : "encoding";
}

/**
 * @param {Description} described The description for visitors.
 * @param {Card} card
 * @param {number} now
 */
function detailsFor(described, card, now) {
  if (card.status === "failed") return [failureReason(card)];
  return described.canPlay ? [] : [...queueDetails(card, now), ...described.details];
}

/**
 * @param {Card} card
 * @param {number} now
 */
function queueDetails(card, now) {
  /** @type {Line[]} */
  const lines = [];
  if (card.status === "queued" && typeof card.queue_position === "number") {
    lines.push({ key: "position", values: { position: card.queue_position } });
  }
  if (card.status === "queued" && typeof card.queue_wait_sec === "number") {
    lines.push({ key: "starts", values: { when: card.queue_wait_sec } });
  }
  if (card.next_attempt_at && !card.hold_reason && card.status === "retrying") {
    lines.push(nextAttempt(card, (Date.parse(card.next_attempt_at) - now) / 1000));
  }
  return lines;
}

/**
 * Name the next attempt. A manual retry renews the budget but does not reset the attempt count: a
 * count above the budget ("7 of 5") is shown without the budget.
 *
 * @param {Card} card
 * @param {number} when
 * @returns {Line}
 */
function nextAttempt(card, when) {
  const attempt = (card.attempt ?? 0) + 1;
  const most = card.max_attempts ?? 0;
  const values = { attempt, most, when: Math.max(0, when) };
  return { key: attempt <= most ? "next_attempt_of" : "next_attempt", values };
}

/**
 * Return the translation of the failure's code if there is one, else the API's sentence.
 *
 * @param {Card} card
 * @returns {Line}
 */
function failureReason(card) {
  return { key: `error.${card.error_code}`, text: card.error_message ?? "" };
}

/**
 * @param {string} language
 * @param {number} seconds From now.
 */
function formatRelativeTime(language, seconds) {
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (seconds < 90) return format.format(Math.round(seconds), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return format.format(minutes, "minute");
  return format.format(Math.round(minutes / 60), "hour");
}
