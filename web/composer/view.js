/** The composer's own tree: made once, then told what to show. All text goes in as text. */

import { styleSheet } from "./style.js";
import { ACCEPT, clock, grab, measure } from "./video-file.js";

/** In the order in which they stand; the first that shows is the one that most would press. */
const ACTIONS = /** @type {const} */ (["choose", "publish", "resume", "again", "pause", "cancel", "other", "discard"]);

const POSTER_QUALITY = 0.85;

/** @typedef {(typeof ACTIONS)[number]} Action */

/**
 * @typedef {object} Shown
 * @property {string} phase
 * @property {string} hint Beside the button that opens the picker.
 * @property {string} name Of the file; empty where none is chosen.
 * @property {[string, string][]} facts Of the file, each with what it is.
 * @property {string} frameLabel
 * @property {number | null} durationSec Of what can be previewed; null hides the slider.
 * @property {string} status What is going on.
 * @property {number | null} progress Percent; null for no bar.
 * @property {string} problem
 * @property {Partial<Record<Action, string>>} actions Labels of those that can be taken.
 */

/**
 * @typedef {object} Hands
 * @property {(files: File[]) => void} onFiles
 * @property {(seconds: number) => void} onFrame
 * @property {(action: Action) => void} onAction
 */

export class View {
  #box = make("div", "box");
  #pick = make("div", "pick");
  #hint = make("p", "hint");
  #input = make("input");
  #chosen = make("div", "chosen");
  #facts = make("dl");
  #name = make("p", "name");
  #frame = make("label");
  #frameLabel = make("span");
  #slider = make("input", "slider");
  #status = make("p", "status");
  #progress = make("progress", "progress");
  #problem = make("p", "problem");
  #said = make("p", "said");
  #phase = "";
  /** @type {Map<Action, HTMLButtonElement>} */
  #buttons = new Map();
  #video = make("video");
  #canvas = make("canvas");
  #preview = "";

  /**
   * @param {ShadowRoot} root
   * @param {Hands} hands
   */
  constructor(root, hands) {
    this.root = root;
    root.adoptedStyleSheets = [styleSheet()];
    this.#box.tabIndex = -1;
    Object.assign(this.#input, { type: "file", accept: ACCEPT, hidden: true });
    Object.assign(this.#slider, { type: "range", min: "0", step: "0.1" });
    Object.assign(this.#video, { muted: true, playsInline: true, preload: "auto", tabIndex: -1 });
    Object.assign(this.#progress, { max: 100 });
    for (const picture of [this.#video, this.#canvas]) picture.setAttribute("aria-hidden", "true");
    this.#problem.setAttribute("role", "alert");
    this.#said.setAttribute("role", "status");
    this.#build(hands);
    this.#listen(hands);
    root.append(this.#box);
  }

  /** @param {Hands} hands */
  #build({ onAction }) {
    const picture = make("div", "picture");
    const about = make("div", "about");
    const actions = make("div", "actions");
    for (const action of ACTIONS) {
      const button = make("button", action);
      button.type = "button";
      button.onclick = () => (action === "choose" ? this.#input.click() : onAction(action));
      this.#buttons.set(action, button);
      if (action !== "choose") actions.append(button);
    }
    const choose = this.#buttons.get("choose");
    if (choose) this.#pick.append(choose, this.#hint, this.#input);
    picture.append(this.#video, this.#canvas);
    this.#frame.append(this.#frameLabel, this.#slider);
    about.append(this.#name, this.#facts, this.#frame);
    this.#chosen.append(picture, about);
    this.#box.append(this.#pick, this.#chosen, this.#problem, this.#status, this.#progress, actions, this.#said);
  }

  /** @param {Hands} hands */
  #listen({ onFiles, onFrame }) {
    this.#input.onchange = () => {
      const files = [...(this.#input.files ?? [])];
      this.#input.value = "";
      onFiles(files);
    };
    this.#video.onseeked = () => grab(this.#video, this.#canvas);
    this.#slider.oninput = () => onFrame(Number(this.#slider.value));
    this.#box.ondragover = (event) => {
      event.preventDefault();
      this.#box.classList.add("over");
    };
    this.#box.ondragleave = () => this.#box.classList.remove("over");
    this.#box.ondrop = (event) => {
      event.preventDefault();
      this.#box.classList.remove("over");
      onFiles([...(event.dataTransfer?.files ?? [])]);
    };
  }

  /** @param {Shown} shown */
  show(shown) {
    const focused = this.root.activeElement;
    this.#pick.hidden = !("choose" in shown.actions);
    this.#chosen.hidden = !shown.name;
    this.#frame.hidden = shown.durationSec === null;
    this.#slider.max = String(shown.durationSec ?? 0);
    write(this.#hint, shown.hint);
    write(this.#name, shown.name);
    write(this.#frameLabel, shown.frameLabel);
    write(this.#status, shown.status);
    write(this.#problem, shown.problem);
    this.#progress.hidden = shown.progress === null;
    this.#progress.value = shown.progress ?? 0;
    this.#progress.setAttribute("aria-label", shown.status);
    this.#facts.replaceChildren(...shown.facts.flatMap(([what, value]) => [text("dt", what), text("dd", value)]));
    this.#showActions(shown.actions);
    const isGone = focused instanceof HTMLElement && focused.hidden;
    if (this.#phase === shown.phase && !isGone) return;
    this.#phase = shown.phase;
    if (focused) this.focus();
  }

  /** @param {string} words What is read out. */
  say(words) {
    write(this.#said, words);
  }

  /**
   * Preview a file; gives what the browser finds out of it.
   *
   * @param {File} file
   */
  open(file) {
    this.#preview = URL.createObjectURL(file);
    return measure(this.#video, this.#preview);
  }

  /** Let go of the file. */
  close() {
    if (!this.#preview) return;
    // First the video, which else goes on reading what is no more.
    this.#video.removeAttribute("src");
    this.#video.load();
    URL.revokeObjectURL(this.#preview);
    this.#preview = "";
    this.#canvas.width = 0;
  }

  /**
   * Show the frame of this second. It has to have been said how long the video is.
   *
   * @param {number} seconds
   */
  showFrame(seconds) {
    this.#video.currentTime = seconds;
    this.#slider.value = String(seconds);
    this.#slider.setAttribute("aria-valuetext", clock(seconds));
  }

  /**
   * @returns {Promise<Blob | null>} The frame that shows, as a JPEG; null where there is none.
   */
  frame() {
    if (!this.#video.videoWidth) return Promise.resolve(null);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", POSTER_QUALITY));
  }

  /** Give the focus to what most would press now. */
  focus() {
    const first = [...this.#buttons.values()].find((button) => !button.hidden);
    (first ?? this.#box).focus();
  }

  /** @param {Shown["actions"]} labels */
  #showActions(labels) {
    const first = ACTIONS.find((action) => action in labels);
    for (const [action, button] of this.#buttons) {
      button.hidden = !(action in labels);
      button.classList.toggle("first", action === first);
      button.textContent = labels[action] ?? "";
    }
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [name] Its class, and its part.
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (name) element.setAttribute("part", name);
  return element;
}

/**
 * @param {"dt" | "dd"} tag
 * @param {string} content
 */
function text(tag, content) {
  const element = make(tag);
  element.textContent = content;
  return element;
}

/**
 * Change a text only when it is another: a live region repeats what is written to it.
 *
 * @param {HTMLElement} element
 * @param {string} words
 */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
  element.hidden = !words && !element.hasAttribute("role");
}
