/** What only the owner of a video is told: where it stands, why it failed, what to do. Pure. */

import { complete, formats } from "../words.js";
import { concernsOwner, describe } from "./video-state.js";

/** @import { Card, Description, Line, Situation } from "../types.js" */

complete("en", {
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

formats["when"] = relative;

const STEPS = new Set(["verifying", "waiting", "encoding", "checking"]);

/** @type {Record<string, string>} What is said of a video that is to come, and when its time is over. */
const MISSING = { pending: "pending_own", unavailable: "not_arrived" };

/**
 * @param {Situation} situation
 * @returns {Description}
 */
export function describeForOwner(situation) {
  const { card, now } = situation;
  const described = describe(situation);
  if (!concernsOwner(situation)) return described;
  if (!card) return withoutCard(described);
  return {
    ...described,
    headline: { key: headline(card) },
    details: details(described, card, now),
    action: card.status === "failed" && card.retryable ? { key: "retry" } : null,
  };
}

/** @param {Description} described As a visitor sees it. */
function withoutCard(described) {
  const key = MISSING[described.headline?.key ?? ""];
  return key ? { ...described, headline: { key } } : described;
}

/** @param {Card} card */
function headline({ status, step, hold_reason: isHeld }) {
  if (status === "failed") return "failed";
  if (isHeld) return "held";
  if (status !== "processing") return status;
  return step && STEPS.has(step) ? step : "encoding";
}

/**
 * @param {Description} described As a visitor sees it.
 * @param {Card} card
 * @param {number} now
 */
function details(described, card, now) {
  if (card.status === "failed") return [reason(card)];
  return described.canPlay ? [] : [...waiting(card, now), ...described.details];
}

/**
 * @param {Card} card
 * @param {number} now
 */
function waiting(card, now) {
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
 * The budget starts over with every manual retry while the count of attempts goes on: once it has,
 * "7 of 5" would puzzle.
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
 * @param {Card} card
 * @returns {Line} The translation of the code where there is one, else what the API says.
 */
function reason(card) {
  return { key: `error.${card.error_code}`, text: card.error_message ?? "" };
}

/**
 * @param {string} language
 * @param {number} seconds From now.
 */
function relative(language, seconds) {
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (seconds < 90) return words.format(Math.round(seconds), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return words.format(minutes, "minute");
  return words.format(Math.round(minutes / 60), "hour");
}
