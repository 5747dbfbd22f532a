/**
 * What the element says, by language. What visitors read in English is here; what only owners read
 * is in the modules that only they load, and Georgian is fetched where it is spoken. A site adds or
 * changes any other:
 *
 *     import { register } from "https://video.example/web/words.js";
 *     register("de", { play: "Abspielen" });   // what is missing stays English
 */

/** @import { Line, Values } from "./types.js" */

/** @type {Record<string, string>} */
const ENGLISH = {
  play: "Play video",
  play_titled: "Play video: {title}",
  loading: "Loading…",
  uploading: "Uploading your video",
  pending: "This video is being uploaded",
  checking: "Last checks before it is published",
  preparing: "This video is being prepared",
  improving: "A better version is being prepared.",
  percent: "{percent}",
  slow: "This is taking longer than usual.",
  unavailable: "This video is not available.",
  unreachable: "This video cannot be reached at the moment. We keep trying.",
  interrupted: "Playback was interrupted.",
  try_again: "Try again",
  other_version: "The stream stopped; playback goes on with another version.",
  dismiss: "Dismiss",
};

/** @type {Map<string, Record<string, string>>} */
const tables = new Map([["en", ENGLISH]]);

/** @typedef {() => Promise<unknown>} Load */

/** @type {Record<string, { visitors: Load, owners: Load }>} */
const SHIPPED = {
  ka: {
    visitors: () => import("./player/words.ka.js"),
    owners: () => import("./player/words.owner.ka.js"),
  },
};

/**
 * How numbers are written that are more than numbers, by the name they go by.
 *
 * @type {Record<string, (language: string, value: number) => string>}
 */
export const formats = {
  percent: (language, value) => number(language, value / 100, "percent"),
};

/** @type {Map<Load, Promise<unknown> | null>} What is under way; null once that is over. */
const fetched = new Map();

/**
 * Add strings of a language, or change some. Elements show them with their next change.
 *
 * @param {string} language A primary subtag, such as `de`.
 * @param {Record<string, string>} table
 */
export function register(language, table) {
  tables.set(language, { ...tables.get(language), ...table });
}

/**
 * Add the strings of a module that is loaded later. What a site registered stands.
 *
 * @param {string} language
 * @param {Record<string, string>} table
 */
export function complete(language, table) {
  register(language, { ...table, ...tables.get(language) });
}

/**
 * The primary subtag of the language an element stands in.
 *
 * @param {Element} element
 */
export function languageOf(element) {
  const tag = element.closest("[lang]")?.getAttribute("lang") || navigator.language || "en";
  return tag.toLowerCase().split("-")[0] ?? "en";
}

/**
 * Fetch a shipped language, once. Without its modules it is English.
 *
 * @param {string} language
 * @param {boolean} [isOwners] Whether what only owners read is wanted, too.
 * @returns {Promise<unknown> | null} Null when there is nothing to wait for.
 */
export function fetchLanguage(language, isOwners = true) {
  const shipped = SHIPPED[language];
  if (!shipped) return null;
  return fetchOnce(isOwners ? Object.values(shipped) : [shipped.visitors]);
}

/**
 * @param {Load[]} loads Of modules; one that does not come is done without.
 * @returns {Promise<unknown> | null} Null when there is nothing to wait for.
 */
export function fetchOnce(loads) {
  for (const load of loads) {
    const over = () => fetched.set(load, null);
    if (!fetched.has(load)) fetched.set(load, load().then(over, over));
  }
  const waiting = loads.map((load) => fetched.get(load)).filter(Boolean);
  return waiting.length > 0 ? Promise.all(waiting) : null;
}

/**
 * @param {string} language
 * @param {Line} line
 */
export function say(language, { key = "", text = "", values = {} }) {
  const template = tables.get(language)?.[key] ?? tables.get("en")?.[key];
  // What is no template came from elsewhere, and may hold braces of its own.
  if (template === undefined) return text;
  return template.replace(/\{(\w+)\}/g, (_, name) => format(language, name, values[name]));
}

/**
 * @param {string} language
 * @param {string} name
 * @param {Values[string] | undefined} value
 */
function format(language, name, value) {
  if (typeof value !== "number") return value ?? "";
  return formats[name]?.(language, value) ?? number(language, value, "decimal");
}

/**
 * @param {string} language
 * @param {number} value
 * @param {"decimal" | "percent"} style
 */
function number(language, value, style) {
  return new Intl.NumberFormat(language, { style, maximumFractionDigits: 0 }).format(value);
}
