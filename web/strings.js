/**
 * What the element says, by language. English is here; Georgian is fetched where it is spoken; a
 * site adds or changes any other:
 *
 *     import { register } from "https://video.example/web/strings.js";
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
  pending_own: "Your video has not arrived in full yet. If its upload stopped, choose the file again.",
  not_arrived: "The upload of your video was not finished.",
  queued: "Your video is in the queue",
  position: "Place in the queue: {position}.",
  starts: "Starts about {when}.",
  held: "Waiting for the processing service to have room. Nothing is lost.",
  verifying: "Checking your video",
  waiting: "Waiting for processing to begin",
  encoding: "Processing your video",
  checking: "Last checks before it is published",
  retrying: "Processing was interrupted and goes on by itself",
  next_attempt: "Attempt {attempt} {when}.",
  next_attempt_of: "Attempt {attempt} of {most} {when}.",
  preparing: "This video is being prepared",
  improving: "A better version is being prepared.",
  percent: "{percent}",
  slow: "This is taking longer than usual.",
  failed: "This video could not be processed",
  unavailable: "This video is not available.",
  unreachable: "This video cannot be reached at the moment. We keep trying.",
  retry: "Retry",
  interrupted: "Playback was interrupted.",
  try_again: "Try again",
  other_version: "The stream stopped; playback goes on with another version.",
  dismiss: "Dismiss",
};

/** @type {Map<string, Record<string, string>>} */
const tables = new Map([["en", ENGLISH]]);

/** @type {Record<string, () => Promise<{ default: Record<string, string> }>>} */
const SHIPPED = { ka: () => import("./strings.ka.js") };

/** @type {Map<string, Promise<void>>} */
const fetched = new Map();

/** @type {Set<string>} */
const arrived = new Set();

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
 * Fetch a shipped language, once. What a site registered stands; without the file it is English.
 *
 * @param {string} language
 * @returns {Promise<void> | null} Null when there is nothing to wait for.
 */
export function fetchLanguage(language) {
  const load = SHIPPED[language];
  if (!load || arrived.has(language)) return null;
  const waiting =
    fetched.get(language) ??
    load()
      .then(({ default: table }) => complete(language, table))
      .catch(() => undefined)
      .finally(() => arrived.add(language));
  fetched.set(language, waiting);
  return waiting;
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
  if (name === "when") return relative(language, value);
  const style = name === "percent" ? "percent" : "decimal";
  return new Intl.NumberFormat(language, { style, maximumFractionDigits: 0 }).format(
    name === "percent" ? value / 100 : value,
  );
}

/**
 * @param {string} language
 * @param {number} seconds From now.
 */
function relative(language, seconds) {
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (seconds < 90) return words.format(Math.round(seconds), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return words.format(minutes, "minute");
  return words.format(Math.round(minutes / 60), "hour");
}
