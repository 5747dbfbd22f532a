/** What a page can find out of a file by itself, before anything is sent. */

/** @import { Line } from "../types.js" */

const MEASURE_MS = 8000;
const TYPES = /** @type {Record<string, string>} */ ({
  ...{ mp4: "video/mp4", m4v: "video/mp4", mov: "video/quicktime", webm: "video/webm" },
  ...{ mkv: "video/x-matroska", avi: "video/x-msvideo", mpg: "video/mpeg", mpeg: "video/mpeg" },
  ...{ ts: "video/mp2t", mts: "video/mp2t", m2ts: "video/mp2t", "3gp": "video/3gpp" },
  ...{ ogv: "video/ogg", wmv: "video/x-ms-wmv", flv: "video/x-flv" },
});
const UNITS = /** @type {const} */ (["byte", "kilobyte", "megabyte", "gigabyte"]);

/** A file picker's filter: browsers know few of these types by themselves. */
export const ACCEPT = ["video/*", ...Object.keys(TYPES).map((suffix) => `.${suffix}`)].join(",");

/**
 * @typedef {object} Measured
 * @property {number | null} durationSec
 * @property {number | null} width
 * @property {number | null} height
 */

/**
 * @param {{ name: string, type: string }} file
 * @returns {string | null} A video's type, or null when it is none by its type and its name.
 */
export function typeOf({ name, type }) {
  if (type.startsWith("video/")) return type;
  return TYPES[name.toLowerCase().split(".").pop() ?? ""] ?? null;
}

/**
 * @param {{ name: string, type: string, size: number }} file
 * @param {number | null} maxBytes
 * @returns {Line | null} Why it would be refused.
 */
export function objectionTo(file, maxBytes) {
  if (typeOf(file) === null) return { key: "composer_not_video" };
  if (file.size === 0) return { key: "composer_empty" };
  if (maxBytes !== null && file.size > maxBytes) return { key: "composer_too_large" };
  return null;
}

/**
 * @param {Measured} measured
 * @param {number | null} maxSec
 * @returns {Line | null}
 */
export function objectionToLength({ durationSec }, maxSec) {
  const isLong = durationSec !== null && maxSec !== null && durationSec > maxSec;
  return isLong ? { key: "composer_too_long" } : null;
}

/**
 * Let the browser open it. What it cannot show may still be a video that can be processed.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @returns {Promise<Measured>}
 */
export async function measure(video, url) {
  await new Promise((resolve) => {
    const done = new AbortController();
    const end = () => {
      clearTimeout(timer);
      done.abort();
      resolve(undefined);
    };
    const timer = setTimeout(end, MEASURE_MS);
    for (const name of ["loadeddata", "error"]) video.addEventListener(name, end, { signal: done.signal });
    video.src = url;
    video.load();
  });
  // A recording of a browser's own has no length until it is read to its end.
  const durationSec = Number.isFinite(video.duration) ? video.duration : null;
  return { durationSec, width: video.videoWidth || null, height: video.videoHeight || null };
}

/**
 * What the API and pages are told of it.
 *
 * @param {Measured | null} measured
 */
export function shapeOf(measured) {
  const { durationSec = null, width = null, height = null } = measured ?? {};
  return { duration_sec: durationSec, width, height };
}

/**
 * Draw the frame that the video shows.
 *
 * @param {HTMLVideoElement} video
 * @param {HTMLCanvasElement} canvas
 */
export function grab(video, canvas) {
  if (!video.videoWidth) return;
  const scale = Math.min(1, 1280 / Math.max(video.videoWidth, video.videoHeight));
  Object.assign(canvas, {
    width: Math.round(video.videoWidth * scale),
    height: Math.round(video.videoHeight * scale),
  });
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
}

/**
 * @param {string} language
 * @param {number} bytes
 */
export function sizeInWords(language, bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1000)));
  const unit = UNITS[power] ?? "byte";
  const maximumFractionDigits = power > 1 ? 1 : 0;
  const words = new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits });
  return words.format(bytes / 1000 ** power);
}

/** @param {number} seconds Written as `1:02:03` or `2:03`. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const pad = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
