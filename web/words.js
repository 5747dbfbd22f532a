/**
 * The words of the elements, by language. The English words for visitors are here. The modules that
 * only an owner's page loads add the words for owners. Georgian is loaded on pages in Georgian. A
 * site adds or changes words with `register`:
 *
 *     import { register } from "https://video.example/web/words.js";
 *     register("de", { play: "Abspielen" });   // a missing key stays English
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

/** @type {Record<string, Load[]>} The modules of a language: words for visitors, words for owners. */
const SHIPPED = {
  ka: [() => import("./player/words.ka.js"), () => import("./player/words.owner.ka.js")],
};

/**
 * Number formats, by the name of the placeholder. Any other placeholder is a plain number.
 *
 * @type {Record<string, (language: string, value: number) => string>}
 */
export const valueFormats = {
  percent: (language, value) => formatNumber(language, value / 100, "percent"),
};

/** @type {Map<Load, Promise<unknown> | null>} Loads in progress; null for a load that has ended. */
const loads = new Map();

/**
 * Add or change words of a language. An element shows them with its next change.
 *
 * @param {string} language A primary subtag, such as `de`.
 * @param {Record<string, string>} table
 */
export function register(language, table) {
  tables.set(language, { ...tables.get(language), ...table });
}

/**
 * Add the words of a module that is loaded later. Words that a site registered stay.
 *
 * @param {string} language
 * @param {Record<string, string>} table
 */
export function addWords(language, table) {
  register(language, { ...table, ...tables.get(language) });
}

/**
 * Return the primary subtag of an element's language.
 *
 * @param {Element} element
 */
export function languageOf(element) {
  const tag = element.closest("[lang]")?.getAttribute("lang") || navigator.language || "en";
  return tag.toLowerCase().replace(/-.*/, "");
}

/**
 * Load modules once: those of a shipped language, and others. A module that cannot be loaded is
 * ignored; the words of its language stay English.
 *
 * @param {string} language
 * @param {boolean} [isForOwner] Load the words for owners, too.
 * @param {Load[]} [others]
 * @returns {Promise<unknown> | null} Null if nothing is being loaded.
 */
export function loadWords(language, isForOwner = true, others = []) {
  const shipped = SHIPPED[language] ?? [];
  const wanted = [...shipped.slice(0, isForOwner ? 2 : 1), ...others];
  for (const load of wanted) {
    const end = () => loads.set(load, null);
    if (!loads.has(load)) loads.set(load, load().then(end, end));
  }
  const waiting = wanted.map((load) => loads.get(load)).filter(Boolean);
  return waiting.length > 0 ? Promise.all(waiting) : null;
}

/**
 * Write a line in a language, with its values filled in.
 *
 * @param {string} language
 * @param {Line} line
 */
export function translate(language, { key = "", text = "", values = {} }) {
  const template = tables.get(language)?.[key] ?? tables.get("en")?.[key];
  // The line's own text is not a template: it may contain braces.
  if (template === undefined) return text;
  return template.replace(/\{(\w+)\}/g, (_, name) => formatValue(language, name, values[name]));
}

/**
 * @param {string} language
 * @param {string} name
 * @param {Values[string] | undefined} value
 */
function formatValue(language, name, value) {
  if (typeof value !== "number") return value ?? "";
  return (valueFormats[name] ?? formatNumber)(language, value);
}

/**
 * @param {string} language
 * @param {number} value
 * @param {"decimal" | "percent"} [style]
 */
function formatNumber(language, value, style = "decimal") {
  return new Intl.NumberFormat(language, { style, maximumFractionDigits: 0 }).format(value);
}
