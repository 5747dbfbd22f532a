/** The element's own tree: made once, then told what to show. All text goes in as text. */

import { styleSheet } from "./style.js";

/**
 * @typedef {object} Shown
 * @property {string} state Names the slot that replaces the text.
 * @property {string} headline
 * @property {string} details
 * @property {number | null} progress Percent; null for no bar.
 * @property {string} action The label of the button; empty for none.
 * @property {boolean} isNote Whether the text stands beside something that plays.
 * @property {string | null} play The label of the big button; null hides it.
 * @property {boolean} isPlaying Whether the video shows, in place of the poster.
 * @property {string} dismiss Empty while words are being fetched, as all others are.
 * @property {string | null} poster
 * @property {string | null} placeholder A CSS image.
 * @property {string} ratio
 */

/**
 * @typedef {object} Hands
 * @property {() => void} onPlay
 * @property {() => void} onAction
 */

export class View {
  #text = make("slot");
  #headline = make("p", "headline");
  #details = make("p", "details");
  #progress = make("progress", "progress");
  #action = make("button", "action");
  #dismiss = make("button", "dismiss");
  #play = make("button", "play", "play-button");
  #poster = make("img", "poster");
  #said = make("p", "said");
  #panel = make("div", "panel");
  #dismissed = "";
  #announced = "";
  #isBroken = false;
  #isDrawn = false;
  #root;
  frame = make("div", "frame");
  /** @type {HTMLVideoElement | null} */
  video = null;

  /**
   * @param {ShadowRoot} root
   * @param {Hands} hands
   */
  constructor(root, hands) {
    this.#root = root;
    root.adoptedStyleSheets = [styleSheet()];
    const text = make("div", "text");
    const tracks = make("slot");
    tracks.hidden = true;
    this.#text.append(this.#headline, this.#details);
    text.append(this.#text, this.#progress);
    this.#panel.append(text, this.#action, this.#dismiss);
    this.#dismiss.textContent = "×";
    for (const button of [this.#action, this.#dismiss, this.#play]) button.type = "button";
    // Not to be tabbed to: they take over a focus whose button is gone.
    for (const place of [this.#panel, this.frame]) place.tabIndex = -1;
    Object.assign(this.#progress, { max: 100 });
    Object.assign(this.#poster, { alt: "", loading: "lazy", decoding: "async", hidden: true });
    this.#said.setAttribute("role", "status");
    this.#poster.onerror = () => this.#losePoster();
    this.#play.onclick = hands.onPlay;
    this.#action.onclick = hands.onAction;
    this.#dismiss.onclick = () => this.#keepFocus(() => this.#close());
    this.frame.append(this.#poster, this.#play, this.#panel, this.#said);
    root.append(this.frame, tracks);
  }

  /** @param {Shown} shown */
  show(shown) {
    this.#keepFocus(() => this.#show(shown));
  }

  /** @param {Shown} shown */
  #show(shown) {
    const { headline, details, isNote, action, play, progress } = shown;
    const words = `${headline} ${details}`.trim();
    this.#text.name = shown.state;
    write(this.#headline, headline);
    write(this.#details, details);
    write(this.#action, action);
    this.#progress.hidden = progress === null;
    this.#progress.value = progress ?? 0;
    this.#progress.setAttribute("aria-label", headline);
    this.#dismiss.hidden = !isNote;
    this.#dismiss.setAttribute("aria-label", shown.dismiss);
    this.#panel.classList.toggle("note", isNote);
    if (words !== this.#dismissed) this.#dismissed = "";
    this.#panel.hidden = !words || Boolean(this.#dismissed);
    this.#panel.dataset["words"] = words;
    this.#play.hidden = play === null;
    this.#play.setAttribute("aria-label", play ?? "");
    this.#showPicture(shown.poster, shown.isPlaying);
    this.#shape(shown.ratio);
    if (shown.placeholder) this.frame.style.setProperty("--placeholder", shown.placeholder);
    this.#announce(shown, words);
  }

  /** Another video: what is told of it first is not news. */
  beginAnew() {
    this.#announced = "";
  }

  /**
   * Read out what changed, and of a percentage only every quarter.
   *
   * @param {Shown} shown
   * @param {string} words
   */
  #announce({ state, headline, progress, dismiss }, words) {
    const key = `${state} ${headline} ${Math.floor((progress ?? 0) / 25)}`;
    const isSpeechless = state === "loading" || !dismiss;
    if (isSpeechless || this.#announced === key) return;
    if (this.#announced) write(this.#said, words);
    this.#announced = key;
  }

  /** Let the frame take another shape although it has been seen: the page wants it so. */
  reshape() {
    this.#isDrawn = false;
  }

  /**
   * A place that has been seen keeps its shape, whatever is learned of the video: what stands below
   * would jump.
   *
   * @param {string} ratio
   */
  #shape(ratio) {
    const { height, top } = this.frame.getBoundingClientRect();
    const isSeen = this.#isDrawn && height > 0 && top < innerHeight;
    if (isSeen) return;
    this.frame.style.setProperty("--ratio", ratio);
    requestAnimationFrame(() => (this.#isDrawn = true));
  }

  /**
   * Make the video under everything else, with copies of the element's own tracks.
   *
   * @param {Iterable<Element>} tracks
   * @param {string | null} crossOrigin Before anything is loaded: tracks obey it, too.
   */
  mountVideo(tracks, crossOrigin) {
    if (this.video) return this.video;
    const video = make("video", "", "video");
    video.crossOrigin = crossOrigin;
    video.controls = true;
    video.playsInline = true;
    video.hidden = true;
    for (const track of tracks) video.append(track.cloneNode(true));
    this.frame.prepend(video);
    this.video = video;
    return video;
  }

  /** Let go of the file whose length was asked for: the stream plays in its place. */
  unload() {
    this.video?.removeAttribute("src");
    this.video?.load();
  }

  /**
   * Change what is there. The focus of a button that goes is passed on to what has replaced it.
   *
   * @param {() => void} change
   */
  #keepFocus(change) {
    const held = this.#root.activeElement;
    change();
    if (!held || isVisible(held)) return;
    const heirs = [this.video, this.#panel, this.#play];
    (heirs.find((heir) => heir && isVisible(heir)) ?? this.frame).focus();
  }

  removeVideo() {
    this.video?.remove();
    this.video = null;
  }

  /**
   * @param {string | null} url
   * @param {boolean} isPlaying
   */
  #showPicture(url, isPlaying) {
    const isNew = this.#poster.getAttribute("src") !== url;
    if (url && isNew) this.#poster.src = url;
    if (!url) this.#poster.removeAttribute("src");
    if (isNew) this.#isBroken = false;
    this.#poster.hidden = !url || isPlaying || this.#isBroken;
    if (!this.video) return;
    this.video.hidden = !isPlaying;
    if (url && !this.#isBroken) this.video.poster = url;
  }

  #losePoster() {
    this.#isBroken = true;
    this.#poster.hidden = true;
  }

  #close() {
    this.#dismissed = this.#panel.dataset["words"] ?? "";
    this.#panel.hidden = true;
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [name] Its class, and its part unless that is another.
 * @param {string} [part]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, name = "", part = name) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (part) element.setAttribute("part", part);
  return element;
}

/** @param {Element} element */
function isVisible(element) {
  return element.getClientRects().length > 0;
}

/**
 * Change a text only when it is another: a live region repeats what is written to it.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text && !element.hasAttribute("role");
}
