/** The properties of a chosen file that a page can read itself, before it sends anything. */

/** @import { Line } from "../types.js" */

const MEASURE_MS = 8000;
const MAX_FRAME_PX = 1280;
const TYPES = /** @type {Record<string, string>} */ ({
  ...{ mp4: "video/mp4", m4v: "video/mp4", mov: "video/quicktime", webm: "video/webm" },
  ...{ mkv: "video/x-matroska", avi: "video/x-msvideo", mpg: "video/mpeg", mpeg: "video/mpeg" },
  ...{ ts: "video/mp2t", mts: "video/mp2t", m2ts: "video/mp2t", "3gp": "video/3gpp" },
  ...{ ogv: "video/ogg", wmv: "video/x-ms-wmv", flv: "video/x-flv" },
});
const UNITS = /** @type {const} */ (["byte", "kilobyte", "megabyte", "gigabyte"]);

/** The filter of the file picker. Browsers know few of these types by themselves. */
export const ACCEPT = ["video/*", ...Object.keys(TYPES).map((suffix) => `.${suffix}`)].join(",");

/**
 * @typedef {object} MeasuredVideo
 * @property {number | null} durationSec
 * @property {number | null} width
 * @property {number | null} height
 */

/**
 * @param {{ name: string, type: string }} file
 * @returns {string | null} The media type; null if neither type nor name is that of a video.
 */
export function mediaTypeOf({ name, type }) {
  if (type.startsWith("video/")) return type;
  return TYPES[name.toLowerCase().split(".").pop() ?? ""] ?? null;
}

/**
 * @param {{ name: string, type: string, size: number }} file
 * @param {number | null} maxBytes
 * @returns {Line | null} The reason for which it would be refused.
 */
export function fileProblem(file, maxBytes) {
  if (mediaTypeOf(file) === null) return { key: "composer_not_video" };
  if (file.size === 0) return { key: "composer_empty" };
  if (maxBytes !== null && file.size > maxBytes) return { key: "composer_too_large" };
  return null;
}

/**
 * @param {MeasuredVideo} measured
 * @param {number | null} maxSec
 * @returns {Line | null}
 */
export function lengthProblem({ durationSec }, maxSec) {
  const isLong = durationSec !== null && maxSec !== null && durationSec > maxSec;
  return isLong ? { key: "composer_too_long" } : null;
}

/**
 * Measure a video in the browser. A file that the browser cannot show may still be processed.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @returns {Promise<MeasuredVideo>}
 */
export async function measureVideo(video, url) {
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
  // A browser's own recording has no length until it is read to its end.
  const durationSec = Number.isFinite(video.duration) ? video.duration : null;
  return { durationSec, width: video.videoWidth || null, height: video.videoHeight || null };
}

/**
 * Name the measured properties as the API does.
 *
 * @param {MeasuredVideo | null} measured
 */
export function measuredFields(measured) {
  const { durationSec = null, width = null, height = null } = measured ?? {};
  return { duration_sec: durationSec, width, height };
}

/**
 * Draw the current frame of a video, at most MAX_FRAME_PX on its longer side.
 *
 * @param {HTMLVideoElement} video
 * @param {HTMLCanvasElement} canvas
 */
export function drawFrame(video, canvas) {
  if (!video.videoWidth) return;
  const scale = Math.min(1, MAX_FRAME_PX / Math.max(video.videoWidth, video.videoHeight));
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
export function formatBytes(language, bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1000)));
  const unit = UNITS[power] ?? "byte";
  const maximumFractionDigits = power > 1 ? 1 : 0;
  const format = new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits });
  return format.format(bytes / 1000 ** power);
}
