/** The state of a video and its words for visitors. Pure: no DOM, no clock, no language. */

/** @import { Card, Description, Line, Situation } from "../types.js" */

/**
 * Return true if the pipeline may still change this video by itself.
 *
 * @param {Card} card
 */
export function isUnsettled(card) {
  return !["completed", "failed"].includes(card.status);
}

/** @param {Card | null} card */
export function canPlay(card) {
  return Boolean(card && (card.manifest_url || card.fallback_url));
}

/**
 * Return true if the owner reads more than a visitor does.
 *
 * @param {Situation} situation
 */
export function concernsOwner({ card, gone, pendingUntil, isOwner, isBroken }) {
  const isUnfinished = card ? card.status !== "completed" : gone && !Number.isNaN(pendingUntil);
  return isOwner && !isBroken && isUnfinished;
}

/**
 * Describe a video to a visitor. owner-state.js describes it to its owner.
 *
 * @param {Situation} situation
 * @returns {Description}
 */
export function describe(situation) {
  const { card, videoUrl, isBroken } = situation;
  if (isBroken) return { ...stateOf("unavailable", "interrupted"), action: { key: "try_again" } };
  if (!card) return describeWithoutCard(situation);
  const plays = canPlay(card) || Boolean(videoUrl);
  if (card.status === "completed") {
    return plays ? playableState("ready", null) : stateOf("unavailable", "unavailable");
  }
  return plays ? playableState("playable", noteFor(card)) : describeUnplayable(situation, card);
}

/**
 * @param {Situation} situation
 * @param {Card} card
 * @returns {Description}
 */
function describeUnplayable({ isSlow }, card) {
  const state = /** @type {Description["state"]} */ (card.status);
  const described = stateOf(state, headlineKey(card), percentOf(card));
  if (isSlow && isUnsettled(card)) described.details.push({ key: "slow" });
  return described;
}

/**
 * @param {Situation} situation
 * @returns {Description}
 */
function describeWithoutCard({ uploadPercent, pendingUntil, videoUrl, gone, unreachable, now }) {
  if (uploadPercent !== null) return stateOf("uploading", "uploading", uploadPercent);
  if (videoUrl) return playableState("ready", null);
  if (!gone) return unreachable ? stateOf("unavailable", "unreachable") : stateOf("loading", "loading");
  return pendingUntil > now ? stateOf("uploading", "pending") : stateOf("unavailable", "unavailable");
}

/**
 * @param {"ready" | "playable"} state
 * @param {Line | null} note
 * @returns {Description}
 */
function playableState(state, note) {
  return { ...stateOf(state, ""), canPlay: true, headline: note };
}

/**
 * @param {Description["state"]} state
 * @param {string} key
 * @param {number | null} [percent]
 * @returns {Description}
 */
function stateOf(state, key, percent = null) {
  const headline = key ? { key } : null;
  const details = percent === null ? [] : [{ key: "percent", values: { percent } }];
  return { state, canPlay: false, headline, details, progress: percent, action: null };
}

/**
 * Return the note beside a video that plays although its processing is unfinished or failed.
 *
 * @param {Card} card
 * @returns {Line | null}
 */
function noteFor(card) {
  return card.source === "original" && isUnsettled(card) ? { key: "improving" } : null;
}

/** @param {Card} card */
function headlineKey({ status, step }) {
  if (status === "failed") return "unavailable";
  return step === "checking" ? "checking" : "preparing";
}

/**
 * Return the percentage of an encode in progress. The checks after it have none: the bar would stay
 * full.
 *
 * @param {Card} card
 */
function percentOf(card) {
  return isUnsettled(card) && card.step !== "checking" ? (card.progress ?? null) : null;
}
