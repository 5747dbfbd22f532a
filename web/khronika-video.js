/**
 * `<khronika-video post-id="…">`: a post's video in whatever state it is, and its player.
 *
 *     <script type="module" src="https://video.example/web/khronika-video.js"></script>
 *
 * docs/ui.md describes attributes, events, parts and strings. What playing takes is loaded with
 * the first tap.
 */

import { feedOf } from "./player/card-feed.js";
import { wordsOf } from "./player/view-content.js";
import { fetchLanguage, fetchOnce, languageOf } from "./words.js";
import { placeholderOf, ratioOf } from "./player/style.js";
import { concernsOwner, describe, isUnsettled } from "./player/video-state.js";
import { View } from "./player/view.js";

/** @import { Card, Known, Line, Situation, TokenProvider } from "./types.js" */

const OWN_BASE = new URL("..", import.meta.url).href;
const CLOCK_MS = 15_000;
const SLOW_AFTER_MIN = 10;
const STALL_AFTER_SEC = 12;
const FRESH_MS = 30_000;
/** Attributes that change which video it is, or who asks for it. */
const IDENTITY = ["post-id", "api", "token", "owner", "video-url", "pending-until"];
/** Attributes with which the frame may take another shape although it is seen. */
const SHAPE = ["post-id", "video-url", "width", "height"];
const EARLY = ["tokenProvider", "card"];

/** @type {typeof import("./player/owner-state.js") | null} Loaded for the first owner who is told more. */
let owner = null;
const loadOwner = async () => void (owner = await import("./player/owner-state.js"));

export class KhronikaVideo extends HTMLElement {
  static observedAttributes = [
    ...IDENTITY,
    ...["mode", "width", "height", "lang", "poster", "upload-progress", "slow-after"],
  ];

  #view = new View(this.attachShadow({ mode: "open" }), {
    onPlay: () => void this.play(),
    onAction: () => void this.#act(),
  });
  /** @type {Known} */
  #known = { card: null, gone: false, unreachable: false };
  /** @type {Card | null} */
  #given = null;
  /** @type {TokenProvider | null} */
  #tokenProvider = null;
  /** @type {(() => void) | null} */
  #unwatch = null;
  /** @type {import("./player/session.js").Session | null} */
  #session = null;
  #isPlaying = false;
  /** Until when a video may still come that has never been there. */
  #pendingUntil = NaN;
  /** @type {number | null} Seconds at which playback broke off. */
  #brokeAt = null;
  /** @type {Line | null} */
  #answer = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** @type {number | null} Since when something has been going on, as far as this page knows. */
  #busySince = null;
  #state = "";

  connectedCallback() {
    for (const name of EARLY) this.#takeEarly(name);
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#watch();
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#clock = undefined;
    this.#forget();
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} value
   */
  attributeChangedCallback(name, before, value) {
    if (!this.#clock || before === value) return;
    if (SHAPE.includes(name)) this.#view.reshape();
    if (IDENTITY.includes(name)) this.#watch();
    else this.#render();
  }

  /** @returns {TokenProvider | null} Gives the viewer's JWT, or a promise of it. */
  get tokenProvider() {
    return this.#tokenProvider;
  }

  set tokenProvider(provider) {
    this.#tokenProvider = provider;
    if (this.#clock) this.#watch();
  }

  /** @returns {Card | null} What is known of the video. A page that knows it may set it. */
  get card() {
    return this.#known.card;
  }

  set card(card) {
    this.#given = card;
    if (this.#clock) this.#watch();
  }

  /** What the element shows; the attribute `data-state` says it, too. */
  get state() {
    return this.#state;
  }

  /** How it plays: `hls.js`, `native`, `file`; null before playback. */
  get engine() {
    return this.#session?.engine ?? null;
  }

  /** Play, from the beginning or from where playback broke off. To be called from a tap. */
  async play() {
    const video = this.#mountVideo();
    if (!this.#isPlaying && this.#known.card?.manifest_url) this.#view.unload();
    // Within the tap, before anything is loaded: it is what makes iOS allow playback later.
    video.play().catch(() => undefined);
    if (this.#isPlaying && this.#brokeAt === null) return;
    const position = this.#brokeAt ?? 0;
    this.#isPlaying = true;
    this.#brokeAt = this.#answer = null;
    this.#render();
    const [loaded] = await Promise.all([
      import("./player/session.js").catch(() => null),
      this.#refreshIfStale(),
    ]);
    if (this.#view.video !== video) return;
    if (!loaded) return this.#breakOff(position);
    this.#session?.stop();
    this.#session = new loaded.Session(video, this.#view.frame, {
      card: this.#known.card,
      videoUrl: this.getAttribute("video-url"),
      position,
      stallSec: Number(this.getAttribute("stall-after") ?? STALL_AFTER_SEC),
      onOtherVersion: () => this.#tell({ key: "other_version" }),
      onFatal: (at) => this.#breakOff(at),
    });
    await this.#session.start();
  }

  get #postId() {
    return this.getAttribute("post-id") ?? "";
  }

  get #feed() {
    return feedOf((this.getAttribute("api") ?? OWN_BASE).replace(/\/$/, ""));
  }

  /**
   * A property that was set before this class was known hides its accessor.
   *
   * @param {string} name
   */
  #takeEarly(name) {
    if (!Object.hasOwn(this, name)) return;
    const early = Reflect.get(this, name);
    Reflect.deleteProperty(this, name);
    Reflect.set(this, name, early);
  }

  #watch() {
    this.#forget();
    if (!this.#postId) return this.#render();
    const feed = this.#feed;
    const token = this.getAttribute("token");
    const provider = this.#tokenProvider ?? (token ? () => token : null);
    if (provider) feed.tokenProvider = provider;
    this.#pendingUntil = Date.parse(this.getAttribute("pending-until") ?? "");
    // A post without a video may get one while its owner looks on.
    const isAwaited = () => this.hasAttribute("owner") || this.#pendingUntil > Date.now();
    this.#unwatch = feed.watch(this.#postId, (known) => this.#learn(known), isAwaited);
    if (this.#given) feed.put(this.#given);
  }

  #forget() {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#known = { card: null, gone: false, unreachable: false };
    this.#busySince = null;
    this.#view.beginAnew();
    this.#stop();
  }

  #stop() {
    this.#session?.stop();
    this.#view.removeVideo();
    this.#session = this.#brokeAt = this.#answer = null;
    this.#isPlaying = false;
  }

  /** @param {Known} known */
  #learn({ card, gone, unreachable }) {
    const isOther = card?.status !== this.#known.card?.status;
    this.#known = { card, gone, unreachable };
    if (card) this.#pendingUntil = NaN;
    if (gone && !this.hasAttribute("video-url")) this.#stop();
    if (isOther && !this.#isPlaying) this.#answer = null;
    if (!card || !isUnsettled(card)) this.#busySince = null;
    else this.#busySince ??= Date.parse(card.updated_at);
    this.#render();
  }

  #tick() {
    const wasPending = this.#state === "uploading";
    if (wasPending || this.#busySince) this.#render();
    // It is asked for once more, and no longer followed.
    if (wasPending && this.#state === "unavailable") void this.#feed.refresh(this.#postId);
  }

  async #refreshIfStale() {
    const ends = this.#known.card?.urls_expire_at;
    if (ends && Date.parse(ends) - Date.now() < FRESH_MS) await this.#feed.refresh(this.#postId);
  }

  /** The button in the text: play on, or have the video processed again. */
  async #act() {
    if (this.#brokeAt !== null) {
      await this.#feed.refresh(this.#postId);
      return this.play();
    }
    const { retry } = await import("./player/retry-video.js");
    const answer = await retry(this.#feed, this.#postId);
    if (answer) this.#tell(answer);
  }

  /** @param {Line} line */
  #tell(line) {
    this.#answer = line;
    this.#render();
  }

  /** @param {number} position Seconds. */
  #breakOff(position) {
    this.#session?.stop();
    this.#brokeAt = position;
    this.#render();
  }

  /** @returns {Situation} */
  #situation() {
    const upload = this.getAttribute("upload-progress");
    const slowMs = Number(this.getAttribute("slow-after") ?? SLOW_AFTER_MIN) * 60_000;
    const now = Date.now();
    return {
      ...this.#known,
      uploadPercent: upload === null ? null : Number(upload),
      pendingUntil: this.#pendingUntil,
      isOwner: this.hasAttribute("owner") || Boolean(this.#known.card?.owner_id),
      isSlow: this.#busySince !== null && now - this.#busySince > slowMs,
      isBroken: this.#brokeAt !== null,
      videoUrl: this.getAttribute("video-url"),
      now,
    };
  }

  #render() {
    const situation = this.#situation();
    const isOwners = concernsOwner(situation);
    const language = this.#language(isOwners);
    const described = isOwners && owner ? owner.describeForOwner(situation) : describe(situation);
    const { state } = described;
    const isPlaying = this.#isPlaying && !situation.isBroken;
    if (described.canPlay && this.getAttribute("mode") === "detail") this.#preload();
    const { card } = this.#known;
    this.#view.show({
      ...wordsOf({ described, card, language, answer: this.#answer, isPlaying }),
      state,
      isPlaying,
      poster: card?.poster_url ?? card?.thumbnail_url ?? this.getAttribute("poster"),
      placeholder: card && placeholderOf(card.asset_id),
      ratio: ratioOf(card, this.getAttribute("width"), this.getAttribute("height")),
    });
    this.#enter(state, card);
  }

  /**
   * @param {boolean} isOwners
   * @returns {string | null} Null while words are being fetched.
   */
  #language(isOwners) {
    const language = languageOf(this);
    const loads = isOwners ? [loadOwner] : [];
    const waiting = [fetchLanguage(language, isOwners), fetchOnce(loads)].filter(Boolean);
    if (waiting.length === 0) return language;
    void Promise.all(waiting).then(() => this.#clock && this.#render());
    return null;
  }

  #mountVideo() {
    const tracks = this.querySelectorAll(":scope > track");
    return this.#view.mountVideo(tracks, this.getAttribute("crossorigin"));
  }

  /** On a page of its own the length is known before the tap; in a feed nothing is loaded. */
  #preload() {
    if (this.#view.video) return;
    const file = this.#known.card?.fallback_url ?? this.getAttribute("video-url");
    const video = this.#mountVideo();
    video.preload = "metadata";
    if (file) video.src = file;
  }

  /**
   * @param {string} state
   * @param {Card | null} card
   */
  #enter(state, card) {
    if (state === this.#state) return;
    this.#state = state;
    this.dataset["state"] = state;
    const detail = { state, card };
    const options = { bubbles: true, composed: true, detail };
    this.dispatchEvent(new CustomEvent("khronika-statechange", options));
  }
}

if (!customElements.get("khronika-video")) customElements.define("khronika-video", KhronikaVideo);
