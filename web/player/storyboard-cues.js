/** The pictures of a storyboard: which part of which image shows which seconds. Pure. */

/**
 * @typedef {object} Cue
 * @property {number} start Seconds.
 * @property {number} end
 * @property {string} url Of the image that holds the picture.
 * @property {number} x Pixels from its left.
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

const TIMES = /^([\d:.]+)\s+-->\s+([\d:.]+)/;
const PLACE = /^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$/;

/**
 * Read WebVTT whose payloads are image addresses with a media fragment (`#xywh=`).
 *
 * @param {string} text
 * @param {string} base What relative addresses are relative to.
 * @returns {Cue[]} In the order of the file; what is no such cue is passed over.
 */
export function parseCues(text, base) {
  return text.split(/\r?\n\r?\n/).flatMap((block) => {
    const lines = block.split(/\r?\n/);
    const at = lines.findIndex((line) => TIMES.test(line));
    const times = TIMES.exec(lines[at] ?? "");
    const place = PLACE.exec((lines[at + 1] ?? "").trim());
    if (!times || !place) return [];
    const [x, y, width, height] = place.slice(2).map(Number);
    const [start, end] = [seconds(times[1] ?? ""), seconds(times[2] ?? "")];
    const url = new URL(place[1] ?? "", base).href;
    return [/** @type {Cue} */ ({ start, end, url, x, y, width, height })];
  });
}

/**
 * @param {Cue[]} cues
 * @param {number} time
 * @returns {Cue | null} The one that shows this second, else the last before it.
 */
export function cueAt(cues, time) {
  return cues.findLast((cue) => cue.start <= time) ?? null;
}

/** @param {string} stamp `mm:ss.ttt`, with or without hours. */
function seconds(stamp) {
  return stamp.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/**
 * @param {number} time Seconds.
 * @returns {string} As a player's clock shows it.
 */
export function clock(time) {
  const whole = Math.floor(time);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}
