/** The cues of a storyboard: the part of an image that shows a span of seconds. Pure. */

/**
 * @typedef {object} Cue
 * @property {number} start Seconds.
 * @property {number} end
 * @property {string} url The address of the image.
 * @property {number} x Pixels from the image's left.
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

const TIMES = /^([\d:.]+)\s+-->\s+([\d:.]+)/;
const TILE = /^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$/;

/**
 * Parse WebVTT with image addresses as payloads, each with a media fragment (`#xywh=`).
 *
 * @param {string} text
 * @param {string} base The base of relative addresses.
 * @returns {Cue[]} In the order of the file. Blocks that are no such cues are skipped.
 */
export function parseCues(text, base) {
  return text.split(/\r?\n\r?\n/).flatMap((block) => {
    const lines = block.split(/\r?\n/);
    const at = lines.findIndex((line) => TIMES.test(line));
    const times = TIMES.exec(lines[at] ?? "");
    const tile = TILE.exec((lines[at + 1] ?? "").trim());
    if (!times || !tile) return [];
    const [x, y, width, height] = tile.slice(2).map(Number);
    const [start, end] = [parseTime(times[1] ?? ""), parseTime(times[2] ?? "")];
    const url = new URL(tile[1] ?? "", base).href;
    return [/** @type {Cue} */ ({ start, end, url, x, y, width, height })];
  });
}

/**
 * @param {Cue[]} cues
 * @param {number} time
 * @returns {Cue | null} The cue that shows this second, else the last one before it.
 */
export function cueAt(cues, time) {
  return cues.findLast((cue) => cue.start <= time) ?? null;
}

/** @param {string} stamp `mm:ss.ttt`, with or without hours. */
function parseTime(stamp) {
  return stamp.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}
