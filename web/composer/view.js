/** The DOM tree of the composer element: made once, then updated. All text is set as text. */

import { BASE_STYLE, makeElement as make, setText } from "../element-base.js";
import { formatMediaTime } from "../media-time.js";
import { COMPOSER_STYLE } from "./style.js";
import { ACCEPT, drawFrame, measureVideo } from "./video-file.js";

/** In the order on the page. The first visible one is the main action. */
const ACTIONS = /** @type {const} */ (["choose", "publish", "resume", "again", "pause", "cancel", "other", "discard"]);

const POSTER_QUALITY = 0.85;

/** @typedef {(typeof ACTIONS)[number]} Action */

/**
 * @typedef {object} ViewContent
 * @property {string} phase
 * @property {string} hint The text beside the button that opens the picker.
 * @property {string} name The name of the file; empty if none is chosen.
 * @property {[string, string][]} facts Labels and values that describe the file.
 * @property {string} frameLabel
 * @property {number | null} durationSec The length of the preview; null hides the slider.
 * @property {string} status
 * @property {number | null} progress Percent; null for no bar.
 * @property {string} problem
 * @property {Partial<Record<Action, string>>} actions The labels of the possible actions.
 */

/**
 * @typedef {object} ViewHandlers
 * @property {(files: File[]) => void} onFiles
 * @property {(seconds: number) => void} onFrame
 * @property {(action: Action) => void} onAction
 */

export class ComposerView {
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
  #announcement = make("p", "announcement");
  #phase = "";
  /** @type {Map<Action, HTMLButtonElement>} */
  #buttons = new Map();
  #video = make("video");
  #canvas = make("canvas");
  #preview = "";

  /**
   * @param {ShadowRoot} root
   * @param {ViewHandlers} handlers
   */
  constructor(root, handlers) {
    this.root = root;
    root.adoptedStyleSheets = [BASE_STYLE, COMPOSER_STYLE];
    this.#box.tabIndex = -1;
    Object.assign(this.#input, { type: "file", accept: ACCEPT, hidden: true });
    Object.assign(this.#slider, { type: "range", min: "0", step: "0.1" });
    Object.assign(this.#video, { muted: true, playsInline: true, preload: "auto", tabIndex: -1 });
    Object.assign(this.#progress, { max: 100 });
    for (const picture of [this.#video, this.#canvas]) picture.setAttribute("aria-hidden", "true");
    this.#problem.setAttribute("role", "alert");
    this.#announcement.setAttribute("role", "status");
    this.#build(handlers);
    this.#listen(handlers);
    root.append(this.#box);
  }

  /** @param {ViewHandlers} handlers */
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
    this.#box.append(this.#pick, this.#chosen, this.#problem, this.#status, this.#progress, actions, this.#announcement);
  }

  /** @param {ViewHandlers} handlers */
  #listen({ onFiles, onFrame }) {
    this.#input.onchange = () => {
      const files = [...(this.#input.files ?? [])];
      this.#input.value = "";
      onFiles(files);
    };
    this.#video.onseeked = () => drawFrame(this.#video, this.#canvas);
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

  /** @param {ViewContent} content */
  show(content) {
    const focused = this.root.activeElement;
    this.#pick.hidden = !("choose" in content.actions);
    this.#chosen.hidden = !content.name;
    this.#frame.hidden = content.durationSec === null;
    this.#slider.max = String(content.durationSec ?? 0);
    setText(this.#hint, content.hint);
    setText(this.#name, content.name);
    setText(this.#frameLabel, content.frameLabel);
    setText(this.#status, content.status);
    setText(this.#problem, content.problem);
    this.#progress.hidden = content.progress === null;
    this.#progress.value = content.progress ?? 0;
    this.#progress.setAttribute("aria-label", content.status);
    this.#facts.replaceChildren(...content.facts.flatMap(([label, value]) => [withText("dt", label), withText("dd", value)]));
    this.#showActions(content.actions);
    const isGone = focused instanceof HTMLElement && focused.hidden;
    if (this.#phase === content.phase && !isGone) return;
    this.#phase = content.phase;
    if (focused) this.focus();
  }

  /** @param {string} text The text that screen readers announce. */
  announce(text) {
    setText(this.#announcement, text);
  }

  /**
   * Preview a file and measure it.
   *
   * @param {File} file
   */
  open(file) {
    this.#preview = URL.createObjectURL(file);
    return measureVideo(this.#video, this.#preview);
  }

  /** Release the file. */
  close() {
    if (!this.#preview) return;
    // The video is released first: otherwise it continues to read an address that is revoked.
    this.#video.removeAttribute("src");
    this.#video.load();
    URL.revokeObjectURL(this.#preview);
    this.#preview = "";
    this.#canvas.width = 0;
  }

  /**
   * Show the frame at this second. `show` must have set the length first.
   *
   * @param {number} seconds
   */
  showFrame(seconds) {
    this.#video.currentTime = seconds;
    this.#slider.value = String(seconds);
    this.#slider.setAttribute("aria-valuetext", formatMediaTime(Math.round(seconds)));
  }

  /**
   * @returns {Promise<Blob | null>} The shown frame as a JPEG; null if there is none.
   */
  frame() {
    if (!this.#video.videoWidth) return Promise.resolve(null);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", POSTER_QUALITY));
  }

  /** Focus the main action. */
  focus() {
    const first = [...this.#buttons.values()].find((button) => !button.hidden);
    (first ?? this.#box).focus();
  }

  /** @param {ViewContent["actions"]} labels */
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
 * @param {"dt" | "dd"} tag
 * @param {string} content
 */
function withText(tag, content) {
  const element = make(tag);
  element.textContent = content;
  return element;
}
