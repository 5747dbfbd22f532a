/**
 * `<khronika-video post-id="…">`: the state of a post's video, and its player.
 *
 *     <script type="module" src="https://video.example/web/khronika-video.js"></script>
 *
 * docs/ui.md describes attributes, events, parts and words. The modules that play a video are
 * loaded with the first tap.
 */

import { postIdOf } from "./element-base.js";
import { cardFeedOf } from "./player/card-feed.js";
import { concernsOwner, describe, isUnsettled } from "./player/video-state.js";
import { aspectRatio, viewContent } from "./player/view-content.js";
import { PlayerView } from "./player/view.js";
import { languageOf, loadWords } from "./words.js";

/** @import { Card, CardLookup, Line, Situation, TokenProvider } from "./types.js" */

const OWN_BASE = new URL("..", import.meta.url).href;
const CLOCK_MS = 15_000;
const SLOW_AFTER_MIN = 10;
const STALL_AFTER_SEC = 12;
const FRESH_MS = 30_000;
/** Attributes that change the video or the viewer. */
const IDENTITY = ["post-id", "api", "token", "owner", "video-url", "pending-until"];
/** Attributes whose change may change the shape of a frame that has been seen. */
const SHAPE = ["post-id", "video-url", "width", "height"];
/** Properties that a page may set before this class is defined. */
const EARLY = ["tokenProvider", "card"];

/** @type {typeof import("./player/owner-state.js") | null} Loaded for the first owner. */
let ownerState = null;
const loadOwnerState = async () => void (ownerState = await import("./player/owner-state.js"));

export class KhronikaVideo extends HTMLElement {
  static observedAttributes = [
    ...IDENTITY,
    ...SHAPE,
    "mode",
    "lang",
    "poster",
    "upload-progress",
    "slow-after",
  ];

  #view = new PlayerView(this.attachShadow({ mode: "open" }), {
    onPlay: () => void this.play(),
    onAction: () => void this.#act(),
  });
  /** @type {CardLookup} */
  #known = { card: null, gone: false, unreachable: false };
  /** @type {Card | null} */
  #given = null;
  /** @type {TokenProvider | null} */
  #tokenProvider = null;
  /** @type {(() => void) | null} */
  #unwatch = null;
  /** @type {import("./player/playback.js").VideoPlayback | null} */
  #playback = null;
  #isPlaying = false;
  /** The end of the time in which a post without a video may still get one. */
  #pendingUntil = NaN;
  /** @type {number | null} The second at which playback failed. */
  #brokenAt = null;
  /** @type {Line | null} The result of the viewer's last action. */
  #answer = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** @type {number | null} The start of the processing, as far as this page knows. */
  #busySince = null;
  #state = "";

  connectedCallback() {
    for (const name of EARLY) this.#applyEarly(name);
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#watch();
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#clock = undefined;
    this.#reset();
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

  /** @returns {TokenProvider | null} Returns the viewer's JWT, or a promise of it. */
  get tokenProvider() {
    return this.#tokenProvider;
  }

  set tokenProvider(provider) {
    this.#tokenProvider = provider;
    if (this.#clock) this.#watch();
  }

  /** @returns {Card | null} The known card. A page that has it already may set it. */
  get card() {
    return this.#known.card;
  }

  set card(card) {
    this.#given = card;
    if (this.#clock) this.#watch();
  }

  /** The state that the element shows; also in the attribute `data-state`. */
  get state() {
    return this.#state;
  }

  /** The engine that plays: `hls.js`, `native`, `file`; null before playback. */
  get engine() {
    return this.#playback?.engine ?? null;
  }

  /** Play from the beginning, or from the second at which playback failed. Call it from a tap. */
  async play() {
    const video = this.#mountVideo();
    if (!this.#isPlaying && this.#known.card?.manifest_url) this.#view.unload();
    // iOS allows playback later only if play() is called within the tap, before anything is loaded.
    video.play().catch(() => undefined);
    if (this.#isPlaying && this.#brokenAt === null) return;
    const position = this.#brokenAt ?? 0;
    this.#isPlaying = true;
    this.#brokenAt = this.#answer = null;
    this.#render();
    const [loaded] = await Promise.all([
      import("./player/playback.js").catch(() => null),
      this.#refreshIfStale(),
    ]);
    if (this.#view.video !== video) return;
    if (!loaded) return this.#failPlayback(position);
    this.#playback?.stop();
    this.#playback = new loaded.VideoPlayback(video, this.#view.frame, {
      card: this.#known.card,
      videoUrl: this.getAttribute("video-url"),
      position,
      stallSec: Number(this.getAttribute("stall-after") ?? STALL_AFTER_SEC),
      onOtherVersion: () => this.#showAnswer({ key: "other_version" }),
      onFatal: (at) => this.#failPlayback(at),
    });
    await this.#playback.start();
  }

  get #postId() {
    return postIdOf(this);
  }

  get #feed() {
    return cardFeedOf((this.getAttribute("api") ?? OWN_BASE).replace(/\/$/, ""));
  }

  /**
   * Pass a property that was set before this class was defined to the accessor that it hides.
   *
   * @param {string} name
   */
  #applyEarly(name) {
    if (!Object.hasOwn(this, name)) return;
    const early = Reflect.get(this, name);
    Reflect.deleteProperty(this, name);
    Reflect.set(this, name, early);
  }

  #watch() {
    this.#reset();
    if (!this.#postId) return this.#render();
    const feed = this.#feed;
    const token = this.getAttribute("token");
    const provider = this.#tokenProvider ?? (token ? () => token : null);
    if (provider) feed.tokenProvider = provider;
    this.#pendingUntil = Date.parse(this.getAttribute("pending-until") ?? "");
    // A post without a video may get one while its owner watches.
    const isAwaited = () => this.hasAttribute("owner") || this.#pendingUntil > Date.now();
    this.#unwatch = feed.watch(this.#postId, (lookup) => this.#update(lookup), isAwaited);
    if (this.#given) feed.put(this.#given);
  }

  #reset() {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#known = { card: null, gone: false, unreachable: false };
    this.#busySince = null;
    this.#view.reset();
    this.#stop();
  }

  #stop() {
    this.#playback?.stop();
    this.#view.removeVideo();
    this.#playback = this.#brokenAt = this.#answer = null;
    this.#isPlaying = false;
  }

  /** @param {CardLookup} lookup */
  #update({ card, gone, unreachable }) {
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
    // A video that came at the last moment is found by one more request.
    if (wasPending && this.#state === "unavailable") void this.#feed.refresh(this.#postId);
  }

  async #refreshIfStale() {
    const ends = this.#known.card?.urls_expire_at;
    if (ends && Date.parse(ends) - Date.now() < FRESH_MS) await this.#feed.refresh(this.#postId);
  }

  /** The button beside the text: resume playback, or retry a failed video. */
  async #act() {
    if (this.#brokenAt !== null) {
      await this.#feed.refresh(this.#postId);
      return this.play();
    }
    const { retryVideo } = await import("./player/retry-video.js");
    const answer = await retryVideo(this.#feed, this.#postId);
    if (answer) this.#showAnswer(answer);
  }

  /** @param {Line} line */
  #showAnswer(line) {
    this.#answer = line;
    this.#render();
  }

  /** @param {number} position Seconds. */
  #failPlayback(position) {
    this.#playback?.stop();
    this.#brokenAt = position;
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
      isBroken: this.#brokenAt !== null,
      videoUrl: this.getAttribute("video-url"),
      now,
    };
  }

  #render() {
    const situation = this.#situation();
    const isForOwner = concernsOwner(situation);
    const language = this.#language(isForOwner);
    const described = ((isForOwner && ownerState?.describeForOwner) || describe)(situation);
    const isPlaying = this.#isPlaying && !situation.isBroken;
    if (described.canPlay && this.getAttribute("mode") === "detail") this.#preload();
    const { card } = this.#known;
    this.#view.show({
      ...viewContent({ described, card, language, answer: this.#answer, isPlaying }),
      poster: card?.poster_url ?? card?.thumbnail_url ?? this.getAttribute("poster"),
      ratio: aspectRatio(card, this.getAttribute("width"), this.getAttribute("height")),
    });
    this.#enter(described.state, card);
  }

  /**
   * @param {boolean} isForOwner
   * @returns {string | null} Null while words are being loaded.
   */
  #language(isForOwner) {
    const language = languageOf(this);
    const loading = loadWords(language, isForOwner, isForOwner ? [loadOwnerState] : []);
    void loading?.then(() => this.#clock && this.#render());
    return loading ? null : language;
  }

  #mountVideo() {
    const tracks = this.querySelectorAll(":scope > track");
    return this.#view.mountVideo(tracks, this.getAttribute("crossorigin"));
  }

  /** Load the video's length before the tap, in mode `detail`. */
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
    const options = { bubbles: true, composed: true, detail: { state, card } };
    this.dispatchEvent(new CustomEvent("khronika-statechange", options));
  }
}

if (!customElements.get("khronika-video")) customElements.define("khronika-video", KhronikaVideo);
