/** From what is known of a video to what is said of it. Pure: no DOM, no clock, no language. */

/** @import { Card, Description, Line, Situation } from "../types.js" */

const WAITING_STATES = new Set(["queued", "processing", "retrying"]);

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
 * Whether there is more to say to an owner than to a visitor.
 *
 * @param {Situation} situation
 */
export function concernsOwner({ card, gone, pendingUntil, isOwner, isBroken }) {
  const isUnfinished = card ? card.status !== "completed" : gone && !Number.isNaN(pendingUntil);
  return isOwner && !isBroken && isUnfinished;
}

/**
 * What a visitor is told. What only an owner is told is in owner.js.
 *
 * @param {Situation} situation
 * @returns {Description}
 */
export function describe(situation) {
  const { card, videoUrl, isBroken } = situation;
  if (isBroken) return { ...say("unavailable", "interrupted"), action: { key: "try_again" } };
  if (!card) return withoutCard(situation);
  const plays = canPlay(card) || Boolean(videoUrl);
  if (card.status === "completed") {
    return plays ? playing("ready", null) : say("unavailable", "unavailable");
  }
  return plays ? playing("playable", note(card)) : unfinished(situation, card);
}

/**
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Description}
 */
function unfinished({ isSlow }, card) {
  const described = say(/** @type {Description["state"]} */ (card.status), headline(card));
  if (!isUnsettled(card)) return described;
  const progress = percentOf(card);
  if (progress !== null) described.details.push({ key: "percent", values: { percent: progress } });
  if (isSlow) described.details.push({ key: "slow" });
  return { ...described, progress };
}

/**
 * @param {Situation} situation
 * @returns {Description}
 */
function withoutCard({ uploadPercent, pendingUntil, videoUrl, gone, unreachable, now }) {
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
  return pendingUntil > now ? say("uploading", "pending") : say("unavailable", "unavailable");
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
  return { state, canPlay: false, headline: line, details: [], progress: null, action: null };
}

/**
 * Something plays while work goes on, or although it failed.
 *
 * @param {Card} card
 * @returns {Line | null} What is said beside the player.
 */
function note(card) {
  return card.source === "original" && isUnsettled(card) ? { key: "improving" } : null;
}

/** @param {Card} card */
function headline({ status, step }) {
  if (status === "failed") return "unavailable";
  return step === "checking" ? "checking" : "preparing";
}

/**
 * Progress is the encode's. The checks after it would be a full bar that goes nowhere.
 *
 * @param {Card} card
 */
function percentOf({ step, progress }) {
  return step === "checking" ? null : (progress ?? null);
}

