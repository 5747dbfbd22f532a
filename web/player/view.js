/** The DOM tree and style of the player element: made once, then updated. All text is set as text. */

import { BASE_STYLE, makeElement as make, setText, styleSheet } from "../element-base.js";

const STYLE = styleSheet(`
.frame {
  display: grid;
  grid-template-rows: minmax(min-content, 1fr) auto minmax(0, 1fr);
  position: relative;
  inline-size: 100%;
  overflow: clip;
  aspect-ratio: var(--ratio, 16 / 9);
  max-block-size: var(--khronika-max-height, 75vh);
  border-radius: var(--khronika-radius, 0.5rem);
  background: var(--placeholder, #23262d);
}
:host([mode="detail"]) .frame { max-block-size: var(--khronika-max-height, 90vh); }
.poster, video { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: contain; }
video { background: #000; }
.poster { background: var(--placeholder, #23262d); pointer-events: none; }
.play {
  place-self: center;
  grid-area: 2 / 1;
  position: relative;
  inline-size: 4.5rem;
  block-size: 4.5rem;
  border: 2px solid #fff;
  border-radius: 50%;
  background: #000000b3;
  cursor: pointer;
}
.play::before {
  content: "";
  position: absolute;
  inset: 30% 26% 30% 36%;
  background: #fff;
  clip-path: polygon(0 0, 100% 50%, 0 100%);
}
.play::after { content: ""; position: absolute; inset: -100vmax; }
.panel {
  grid-area: 1 / 1 / -1;
  place-self: end stretch;
  position: relative;
  margin: 0.5rem;
  padding: 0.625rem 0.75rem;
  border-radius: calc(var(--khronika-radius, 0.5rem) * 0.75);
  background: var(--surface);
  overflow-wrap: anywhere;
}
.panel.note { grid-row-end: 2; align-self: start; display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.5rem; padding-block: 0; }
.play[hidden] ~ .note { margin-block-end: 3.5rem; }
.note .text { flex: 1 1 10rem; padding-block: 0.5rem; font-size: 0.875rem; }
.headline { font-weight: 600; }
.details { opacity: 0.85; }
progress { margin-block-start: 0.5rem; }
.action, .dismiss {
  min-block-size: 2.75rem;
  min-inline-size: 2.75rem;
  border: 0;
  border-radius: 0.375rem;
  font: inherit;
  cursor: pointer;
}
.action { margin-block-start: 0.5rem; padding-inline: 1.25rem; font-weight: 600; background: var(--accent); color: var(--on-accent); }
.dismiss { background: none; color: inherit; font-size: 1.25rem; }
:focus-visible { box-shadow: 0 0 0 2px #fff; }
.play:hover { background: #000; }
@media (prefers-reduced-motion: no-preference) { .play { transition: background 0.2s; } }
`);

/**
 * @typedef {object} ViewContent
 * @property {string} state The name of the slot that replaces the text.
 * @property {string} headline
 * @property {string} details
 * @property {number | null} progress Percent; null for no bar.
 * @property {string} action The label of the button; empty for no button.
 * @property {boolean} isNote The text is a note beside a video that can play.
 * @property {string | null} play The label of the play button; null hides it.
 * @property {boolean} isPlaying The video is shown instead of the poster.
 * @property {string} dismiss Empty while words are being loaded, as all other texts are.
 * @property {string | null} poster
 * @property {string | null} placeholder A CSS image.
 * @property {string} ratio
 */

/**
 * @typedef {object} ViewHandlers
 * @property {() => void} onPlay
 * @property {() => void} onAction
 */

export class PlayerView {
  #slot = make("slot");
  #headline = make("p", "headline");
  #details = make("p", "details");
  #progress = make("progress", "progress");
  #action = make("button", "action");
  #dismiss = make("button", "dismiss");
  #play = make("button", "play", "play-button");
  #poster = make("img", "poster");
  #announcement = make("p", "announcement");
  #panel = make("div", "panel");
  #text = "";
  #dismissed = "";
  #announced = "";
  #isPosterBroken = false;
  #isDrawn = false;
  #root;
  frame = make("div", "frame");
  /** @type {HTMLVideoElement | null} */
  video = null;

  /**
   * @param {ShadowRoot} root
   * @param {ViewHandlers} handlers
   */
  constructor(root, handlers) {
    this.#root = root;
    root.adoptedStyleSheets = [BASE_STYLE, STYLE];
    const text = make("div", "text");
    const tracks = make("slot");
    tracks.hidden = true;
    this.#slot.append(this.#headline, this.#details);
    text.append(this.#slot, this.#progress);
    this.#panel.append(text, this.#action, this.#dismiss);
    this.#dismiss.textContent = "×";
    for (const button of [this.#action, this.#dismiss, this.#play]) button.type = "button";
    // Focusable by script only: they receive the focus of a button that is hidden.
    for (const box of [this.#panel, this.frame]) box.tabIndex = -1;
    this.#progress.max = 100;
    Object.assign(this.#poster, { alt: "", loading: "lazy", decoding: "async", hidden: true });
    this.#announcement.setAttribute("role", "status");
    this.#poster.onerror = () => {
      this.#isPosterBroken = this.#poster.hidden = true;
    };
    this.#play.onclick = handlers.onPlay;
    this.#action.onclick = handlers.onAction;
    this.#dismiss.onclick = () =>
      this.#keepFocus(() => {
        this.#dismissed = this.#text;
        this.#panel.hidden = true;
      });
    this.frame.append(this.#poster, this.#play, this.#panel, this.#announcement);
    root.append(this.frame, tracks);
  }

  /** @param {ViewContent} content */
  show(content) {
    this.#keepFocus(() => this.#update(content));
  }

  /** @param {ViewContent} content */
  #update(content) {
    const { headline, details, isNote, action, play, progress } = content;
    this.#text = `${headline} ${details}`.trim();
    this.#slot.name = content.state;
    setText(this.#headline, headline);
    setText(this.#details, details);
    setText(this.#action, action);
    this.#progress.hidden = progress === null;
    this.#progress.value = progress ?? 0;
    this.#progress.setAttribute("aria-label", headline);
    this.#dismiss.hidden = !isNote;
    this.#dismiss.setAttribute("aria-label", content.dismiss);
    this.#panel.classList.toggle("note", isNote);
    if (this.#text !== this.#dismissed) this.#dismissed = "";
    this.#panel.hidden = !this.#text || this.#text === this.#dismissed;
    this.#play.hidden = play === null;
    this.#play.setAttribute("aria-label", play ?? "");
    this.#updatePicture(content.poster, content.isPlaying);
    this.#updateRatio(content.ratio);
    if (content.placeholder) this.frame.style.setProperty("--placeholder", content.placeholder);
    this.#announce(content);
  }

  /** Prepare for another video, whose first text is not announced. */
  reset() {
    this.#announced = "";
  }

  /**
   * Announce a change to screen readers. A percentage is announced once for each quarter.
   *
   * @param {ViewContent} content
   */
  #announce({ state, headline, progress, dismiss }) {
    const key = `${state} ${headline} ${Math.floor((progress ?? 0) / 25)}`;
    const isWordless = state === "loading" || !dismiss;
    if (isWordless || this.#announced === key) return;
    if (this.#announced) setText(this.#announcement, this.#text);
    this.#announced = key;
  }

  /** Allow a new aspect ratio although the frame has been seen. */
  reshape() {
    this.#isDrawn = false;
  }

  /**
   * Set the frame's aspect ratio, unless the viewer has seen the frame: the content below it would
   * jump.
   *
   * @param {string} ratio
   */
  #updateRatio(ratio) {
    const { height, top } = this.frame.getBoundingClientRect();
    if (this.#isDrawn && height > 0 && top < innerHeight) return;
    this.frame.style.setProperty("--ratio", ratio);
    requestAnimationFrame(() => (this.#isDrawn = true));
  }

  /**
   * Add the video below all other content, with copies of the element's tracks.
   *
   * @param {Iterable<Element>} tracks
   * @param {string | null} crossOrigin Set before anything is loaded: it applies to tracks, too.
   */
  mountVideo(tracks, crossOrigin) {
    if (this.video) return this.video;
    const video = make("video", "", "video");
    Object.assign(video, { crossOrigin, controls: true, playsInline: true, hidden: true });
    for (const track of tracks) video.append(track.cloneNode(true));
    this.frame.prepend(video);
    this.video = video;
    return video;
  }

  /** Release the file that was loaded for its length: the stream replaces it. */
  unload() {
    this.video?.removeAttribute("src");
    this.video?.load();
  }

  /**
   * Change the tree. If this hides the focused button, focus the content that replaces it.
   *
   * @param {() => void} change
   */
  #keepFocus(change) {
    const focused = this.#root.activeElement;
    change();
    if (!focused || isVisible(focused)) return;
    const next = [this.video, this.#panel, this.#play];
    (next.find((element) => element && isVisible(element)) ?? this.frame).focus();
  }

  removeVideo() {
    this.video?.remove();
    this.video = null;
  }

  /**
   * @param {string | null} url
   * @param {boolean} isPlaying
   */
  #updatePicture(url, isPlaying) {
    const isNew = this.#poster.getAttribute("src") !== url;
    if (url && isNew) this.#poster.src = url;
    if (!url) this.#poster.removeAttribute("src");
    if (isNew) this.#isPosterBroken = false;
    this.#poster.hidden = !url || isPlaying || this.#isPosterBroken;
    if (!this.video) return;
    this.video.hidden = !isPlaying;
    if (url && !this.#isPosterBroken) this.video.poster = url;
  }
}

/** @param {Element} element */
const isVisible = (element) => element.getClientRects().length > 0;
