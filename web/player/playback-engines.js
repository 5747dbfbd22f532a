/** The choice of sources and of the engines that play them, in order. Pure. */

/** @import { Card, Engine, Sources } from "../types.js" */

/**
 * @typedef {object} Abilities
 * @property {boolean} mediaSource Media Source Extensions, or Managed Media Source.
 * @property {boolean} claimsHls The browser says that it plays HLS by itself.
 * @property {boolean} isTrusted The claim is true: the browser is Safari, by Managed Media Source
 *   (Safari's own) or by its user agent. Chrome 147 answers "maybe" too, and fails on some streams.
 */

/**
 * @param {Sources} sources
 * @param {Abilities} abilities
 * @returns {Engine[]} In the order in which they are tried.
 */
export function chooseEngines({ manifest, file }, { mediaSource, claimsHls, isTrusted }) {
  /** @type {Engine[]} */
  const order = [];
  if (manifest && mediaSource) order.push("hls.js");
  if (manifest && claimsHls && isTrusted) order.push("native");
  if (file) order.push("file");
  return order;
}

/**
 * @param {Card | null} card
 * @param {string | null} videoUrl The video address of a post that is older than cards.
 * @returns {Sources}
 */
export function sourcesOf(card, videoUrl) {
  const manifest = card?.manifest_url ?? null;
  const file = card?.fallback_url ?? null;
  if (manifest || file || !videoUrl) return { manifest, file };
  return /\.m3u8($|\?)/.test(videoUrl)
    ? { manifest: videoUrl, file: null }
    : { manifest: null, file: videoUrl };
}

/**
 * @param {HTMLVideoElement} video
 * @param {Window & typeof globalThis} view
 * @returns {Abilities}
 */
export function browserAbilities(video, view) {
  const isManaged = "ManagedMediaSource" in view;
  const agent = view.navigator.userAgent;
  return {
    mediaSource: isManaged || "MediaSource" in view,
    claimsHls: video.canPlayType("application/vnd.apple.mpegurl") !== "",
    isTrusted: isManaged || (/Safari\//.test(agent) && !/Chrom(e|ium)|Android/.test(agent)),
  };
}
