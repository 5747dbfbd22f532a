/**
 * `<khronika-composer>`: choose a video, see it, publish it. It uploads the file and has it
 * processed; the page need not wait for either.
 *
 *     <script type="module" src="https://video.example/web/khronika-composer.js"></script>
 *
 * docs/ui.md describes attributes, events, parts and strings.
 */

import { fingerprint, forget, recall, unfinished } from "./composer/stored-uploads.js";
import { isFinal } from "./composer/retry.js";
import { isForeseen, reasonOf, wordsOf } from "./composer/view-content.js";
import { ENGLISH, GEORGIAN } from "./composer/words.js";
import { Api, Refused } from "./composer/requests.js";
import { Upload, abandon } from "./composer/file-upload.js";
import { uuid } from "./composer/uuid.js";
import { clock, objectionTo, objectionToLength, shapeOf, sizeInWords, typeOf } from "./composer/video-file.js";
import { View } from "./composer/view.js";
import { fetchLanguage, languageOf, register, say } from "./words.js";

/** @import { Line, TokenProvider } from "./types.js" */
/** @import { Phase } from "./composer/view-content.js" */
/** @import { Measured } from "./composer/video-file.js" */
/** @import { Remembered } from "./composer/stored-uploads.js" */
/** @import { Stage } from "./composer/file-upload.js" */

register("en", ENGLISH);
register("ka", GEORGIAN);

const OWN_BASE = new URL("..", import.meta.url).href;
const PREVIEW_AT_SEC = 1;
/** A percentage is read out every so many percent. */
const SAID_EVERY = 25;

export class KhronikaComposer extends HTMLElement {
  #view = new View(this.attachShadow({ mode: "open" }), {
    onFiles: (files) => void this.#choose(files).catch((error) => this.#fail(error)),
    onFrame: (seconds) => this.#pickFrame(seconds),
    onAction: (action) => void this.#act(action).catch((error) => this.#fail(error)),
  });
  /** @type {Phase} */
  #phase = "empty";
  /** @type {File | null} */
  #file = null;
  /** @type {Measured | null} */
  #measured = null;
  /** @type {Line | null} */
  #problem = null;
  /** @type {Upload | null} */
  #upload = null;
  #postId = "";
  /** @type {number | null} */
  #posterTime = null;
  #bytes = 0;
  /** @type {Stage} */
  #stage = "sending";
  #isWaiting = false;
  #isFinal = false;
  #said = "";
  #listening = new AbortController();

  /** @type {TokenProvider | null} Gives the author's JWT. It may be set before this class is known. */
  tokenProvider = Reflect.get(this, "tokenProvider") ?? null;

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    for (const name of ["online", "offline"]) addEventListener(name, () => this.#render(), { signal });
    addEventListener("beforeunload", (event) => this.#phase === "uploading" && event.preventDefault(), { signal });
    this.#render();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#upload?.pause();
  }

  /** What it shows; the attribute `data-state` says it, too. */
  get state() {
    return this.#phase;
  }

  /** Whether bytes are on their way. */
  get isUploading() {
    return this.#phase === "uploading";
  }

  get #base() {
    return (this.getAttribute("api") ?? OWN_BASE).replace(/\/$/, "");
  }

  get #user() {
    return this.getAttribute("user") ?? "";
  }

  /** @param {string} name */
  #limit(name) {
    const limit = Number(this.getAttribute(name));
    return limit > 0 ? limit : null;
  }

  /** @param {File[]} files */
  async #choose(files) {
    const [file] = files;
    if (!file || this.isUploading || this.#phase === "paused") return;
    this.#clear();
    const maxBytes = this.#limit("max-bytes");
    const objection = files.length > 1 ? { key: "composer_one" } : objectionTo(file, maxBytes);
    if (objection) return this.#object(objection, sizeInWords(this.#language, maxBytes ?? 0));
    this.#file = file;
    this.#enter("reading");
    const measured = await this.#view.open(file);
    if (this.#file !== file) return;
    const maxSec = this.#limit("max-duration");
    const isLong = objectionToLength(measured, maxSec);
    if (isLong) return this.#object(isLong, clock(maxSec ?? 0));
    this.#offer(measured);
  }

  /** @param {Measured} measured */
  #offer(measured) {
    this.#measured = measured;
    this.#posterTime = recall(this.#key)?.posterTime ?? null;
    this.#enter("ready");
    this.#view.showFrame(this.#posterTime ?? Math.min(PREVIEW_AT_SEC, (measured.durationSec ?? 0) / 3));
  }

  get #key() {
    return this.#file ? fingerprint(this.#user, this.#base, this.#file) : "";
  }

  /**
   * @param {Line} line
   * @param {string} limit
   */
  #object(line, limit) {
    this.#clear();
    this.#problem = { ...line, values: { limit } };
    this.#enter("empty");
  }

  /** @param {number} seconds */
  #pickFrame(seconds) {
    this.#posterTime = seconds;
    this.#render();
    this.#view.showFrame(seconds);
  }

  /** @param {string} action */
  async #act(action) {
    if (action === "publish") await this.#publish();
    else if (action === "pause") this.#upload?.pause();
    else if (action === "resume" || action === "again") await this.#run();
    else if (action === "cancel") await this.#cancel();
    else if (action === "discard") await this.#discard();
    else {
      this.#clear();
      this.#enter("empty");
    }
  }

  async #publish() {
    const file = this.#file;
    if (!file) return;
    this.#postId = "";
    this.#upload = new Upload(this.#api(), {
      file,
      key: this.#key,
      posterTime: this.#posterTime,
      type: typeOf(file) ?? "",
      postId: this.getAttribute("post-id") ?? uuid(),
      declared: this.#declared(file),
      onTicket: (ticket) => void this.#announce(ticket),
      onBytes: (bytes) => this.#move(bytes),
      onWaiting: (isWaiting) => this.#set({ isWaiting }),
      onStage: (stage) => this.#set({ stage }),
    });
    await this.#run();
  }

  #api() {
    const token = this.getAttribute("token");
    return new Api(this.#base, () => (this.tokenProvider ? this.tokenProvider() : token));
  }

  /** @param {File} file */
  #declared(file) {
    const title = this.getAttribute("video-title");
    const own = { mime_type: typeOf(file), size_bytes: file.size, title, poster_time_sec: this.#posterTime };
    return { ...own, ...shapeOf(this.#measured) };
  }

  async #run() {
    const upload = this.#upload;
    if (!upload) return this.#publish();
    this.#problem = null;
    this.#set({ stage: "sending", isWaiting: false });
    this.#enter("uploading");
    try {
      const video = await upload.run();
      this.#enter("done");
      this.#tell("created", video);
    } catch (error) {
      if (this.#upload === upload) this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      this.#enter("paused");
      return this.#tell("paused", {});
    }
    this.#problem = reasonOf(error);
    this.#isFinal = isFinal(error);
    this.#enter("failed");
    const code = error instanceof Refused ? error.code : "";
    const message = say(this.#language, this.#problem);
    this.#tell("failed", { code, message, final: this.#isFinal });
    if (!isForeseen(error)) reportError(error);
  }

  async #cancel() {
    const upload = this.#upload;
    this.#clear();
    this.#enter("empty");
    this.#view.say(say(this.#language, { key: "composer_cancelled" }));
    this.#tell("cancelled", {});
    await upload?.abandon();
  }

  async #discard() {
    this.#problem = null;
    for (const { key, upload } of unfinished(this.#user, this.#base)) {
      try {
        await abandon(this.#api(), upload);
      } catch (error) {
        this.#problem = reasonOf(error);
        break;
      }
      forget(key);
      this.#tell("cancelled", { post_id: upload.postId });
    }
    this.#render();
  }

  /** @param {Remembered} ticket */
  async #announce({ postId, uploadId, posterTime }) {
    const [upload, shape] = [this.#upload, shapeOf(this.#measured)];
    this.#postId = postId;
    const poster = await this.#view.frame();
    const detail = { upload_id: uploadId, poster_time_sec: posterTime, ...shape, poster };
    // Meanwhile it may have been given up.
    if (this.#upload === upload) this.#tell("publish", detail);
  }

  /** @param {number} bytes */
  #move(bytes) {
    this.#bytes = bytes;
    this.#render();
    this.#tell("progress", { percent: this.#percent, sent_bytes: bytes });
    const quarter = Math.floor(this.#percent / SAID_EVERY) * SAID_EVERY;
    this.#announceOnce(`${quarter}`, { key: "percent", values: { percent: quarter } });
  }

  get #percent() {
    return this.#file ? Math.floor((100 * this.#bytes) / this.#file.size) : 0;
  }

  /** @param {{ stage?: Stage, isWaiting?: boolean }} changes */
  #set({ stage = this.#stage, isWaiting = this.#isWaiting }) {
    this.#stage = stage;
    this.#isWaiting = isWaiting;
    this.#render();
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.#phase = phase;
    this.dataset["state"] = phase;
    const { status } = this.#render();
    if (status) this.#announceOnce(phase, { text: status });
  }

  /** Forget the file; what has arrived of it stays until it is cancelled or swept. */
  #clear() {
    this.#upload?.pause();
    this.#upload = this.#file = this.#measured = this.#posterTime = this.#problem = null;
    this.#bytes = 0;
    this.#said = "";
    this.#view.close();
  }

  #render() {
    const interrupted = unfinished(this.#user, this.#base);
    const scene = {
      ...{ phase: this.#phase, file: this.#file, measured: this.#measured, problem: this.#problem },
      unfinished: interrupted[0]?.upload.name ?? null,
      isKnown: interrupted.some((each) => each.key === this.#key),
      ...{ stage: this.#stage, isWaiting: this.#isWaiting, isFinal: this.#isFinal, bytes: this.#bytes },
      isPicked: this.#posterTime !== null,
      isOnline: navigator.onLine,
    };
    const words = wordsOf(scene, this.#language);
    this.#view.show(words);
    return words;
  }

  get #language() {
    const language = languageOf(this);
    void fetchLanguage(language)?.then(() => this.#render());
    return language;
  }

  /**
   * @param {string} key
   * @param {Line} line
   */
  #announceOnce(key, line) {
    if (key === this.#said) return;
    this.#said = key;
    this.#view.say(say(this.#language, line));
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  #tell(name, detail) {
    const about = { post_id: this.#postId, ...detail };
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: about }));
  }
}

if (!customElements.get("khronika-composer")) customElements.define("khronika-composer", KhronikaComposer);
