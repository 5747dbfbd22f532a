/** From what is known of a video to what is said of it. Pure: no DOM, no clock, no language. */

/** @import { Card, Description, Line, Situation } from "./types.js" */

const WAITING_STATES = new Set(["queued", "processing", "retrying"]);
const OWN_HEADLINES = new Set(["verifying", "waiting", "encoding", "checking"]);

/**
 * Whether something may happen to this video without anybody asking for it.
 *
 * @param {Card} card
 */
export function isUnsettled(card) {
  return WAITING_STATES.has(card.status);
}

/** @param {Card | null} card */
export function canPlay(card) {
  return Boolean(card && (card.manifest_url || card.fallback_url));
}

/**
 * @param {Situation} situation
 * @returns {Description}
 */
export function describe(situation) {
  const { card, videoUrl } = situation;
  if (!card) return withoutCard(situation);
  const plays = canPlay(card) || Boolean(videoUrl);
  if (card.status !== "completed") return plays ? early(situation, card) : unfinished(situation, card);
  return plays ? playing("ready", null) : say("unavailable", "unavailable");
}

/**
 * Something plays while work goes on, or although it failed: a note beside the player.
 *
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Description}
 */
function early(situation, card) {
  const { isOwner } = situation;
  return {
    ...playing("playable", isOwner ? headline(situation, card) : publicNote(card)),
    details: isOwner && card.status === "failed" ? [reason(card)] : [],
    canRetry: mayRetry(situation, card),
  };
}

/**
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Description}
 */
function unfinished(situation, card) {
  return {
    ...say(/** @type {Description["state"]} */ (card.status), ""),
    headline: headline(situation, card),
    details: details(situation, card),
    progress: isUnsettled(card) ? percentOf(card) : null,
    canRetry: mayRetry(situation, card),
  };
}

/**
 * @param {Situation} situation
 * @returns {Description}
 */
function withoutCard({ uploadPercent, pendingUntil, isOwner, now, ...known }) {
  const { videoUrl, gone, unreachable } = known;
  if (uploadPercent !== null) {
    const percent = { percent: uploadPercent };
    return {
      ...say("uploading", "uploading"),
      details: [{ key: "percent", values: percent }],
      progress: uploadPercent,
    };
  }
  if (videoUrl) return playing("ready", null);
  if (!gone) return unreachable ? say("unavailable", "unreachable") : say("loading", "loading");
  if (pendingUntil > now) return say("uploading", isOwner ? "pending_own" : "pending");
  return say("unavailable", isOwner && pendingUntil ? "not_arrived" : "unavailable");
}

/**
 * @param {"ready" | "playable"} state
 * @param {Line | null} note
 * @returns {Description}
 */
function playing(state, note) {
  return { ...say(state, ""), canPlay: true, headline: note };
}

/**
 * @param {Description["state"]} state
 * @param {string} key
 * @returns {Description}
 */
function say(state, key) {
  const line = key ? { key } : null;
  return { state, canPlay: false, headline: line, details: [], progress: null, canRetry: false };
}

/**
 * @param {Card} card
 * @returns {Line | null}
 */
function publicNote(card) {
  return card.source === "original" && isUnsettled(card) ? { key: "improving" } : null;
}

/**
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Line}
 */
function headline({ isOwner }, card) {
  if (card.status === "failed") return { key: isOwner ? "failed" : "unavailable" };
  if (!isOwner) return { key: card.step === "checking" ? "checking" : "preparing" };
  if (card.hold_reason) return { key: "held" };
  if (card.status === "processing") {
    return { key: card.step && OWN_HEADLINES.has(card.step) ? card.step : "encoding" };
  }
  return { key: card.status };
}

/**
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Line[]}
 */
function details({ isOwner, isSlow, now }, card) {
  if (card.status === "failed") return isOwner ? [reason(card)] : [];
  const lines = isOwner ? ownersDetails(card, now) : [];
  const percent = percentOf(card);
  if (percent !== null) lines.push({ key: "percent", values: { percent } });
  if (isSlow) lines.push({ key: "slow" });
  return lines;
}

/**
 * Progress is the encode's. The checks after it would be a full bar that goes nowhere.
 *
 * @param {Card} card
 */
function percentOf({ step, progress }) {
  return step === "checking" ? null : (progress ?? null);
}

/**
 * @param {Card} card
 * @param {number} now
 */
function ownersDetails(card, now) {
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
 * @param {Situation} situation
 * @param {Card} card
 */
function mayRetry({ isOwner }, card) {
  return isOwner && card.status === "failed" && Boolean(card.retryable);
}
