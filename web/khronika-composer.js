/**
 * `<khronika-composer>`: choose a video, preview it, publish it. The element uploads the file and
 * registers the video; the page need not wait for either.
 *
 *     <script type="module" src="https://video.example/web/khronika-composer.js"></script>
 *
 * docs/ui.md describes attributes, events and words.
 */

import { FileUpload, abandonUpload } from "./composer/file-upload.js";
import { RequestRefused, UploadApi } from "./composer/requests.js";
import { isFinal } from "./composer/retry.js";
import { loadUpload, removeUpload, unfinishedUploads, uploadKey } from "./composer/stored-uploads.js";
import { randomUuid } from "./composer/uuid.js";
import { fileProblem, formatBytes, lengthProblem, measuredFields, mediaTypeOf } from "./composer/video-file.js";
import { failureReason, isExpected, percentOf, viewContent } from "./composer/view-content.js";
import { ComposerView } from "./composer/view.js";
import { ENGLISH, GEORGIAN } from "./composer/words.js";
import { postIdOf } from "./element-base.js";
import { formatMediaTime } from "./media-time.js";
import { languageOf, loadWords, register, translate } from "./words.js";

/** @import { Line, TokenProvider } from "./types.js" */
/** @import { Phase } from "./composer/view-content.js" */
/** @import { MeasuredVideo } from "./composer/video-file.js" */
/** @import { StoredUpload } from "./composer/stored-uploads.js" */
/** @import { UploadStage } from "./composer/file-upload.js" */

register("en", ENGLISH);
register("ka", GEORGIAN);

const OWN_BASE = new URL("..", import.meta.url).href;
const PREVIEW_AT_SEC = 1;
/** The percentage is announced to screen readers at each multiple. */
const ANNOUNCED_EVERY_PERCENT = 25;

export class KhronikaComposer extends HTMLElement {
  #view = new ComposerView(this.attachShadow({ mode: "open" }), {
    onFiles: (files) => void this.#choose(files).catch((error) => this.#fail(error)),
    onFrame: (seconds) => this.#pickFrame(seconds),
    onAction: (action) => void this.#act(action).catch((error) => this.#fail(error)),
  });
  /** @type {Phase} */
  #phase = "empty";
  /** @type {File | null} */
  #file = null;
  /** @type {MeasuredVideo | null} */
  #measured = null;
  /** @type {Line | null} */
  #problem = null;
  /** @type {FileUpload | null} */
  #upload = null;
  #postId = "";
  /** @type {number | null} */
  #posterTime = null;
  #bytes = 0;
  /** @type {UploadStage} */
  #stage = "sending";
  #isWaiting = false;
  #isFinal = false;
  #announced = "";
  #listening = new AbortController();

  /** @type {TokenProvider | null} Returns the author's JWT. It may be set before this class is defined. */
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

  /** The state that the element shows; also in the attribute `data-state`. */
  get state() {
    return this.#phase;
  }

  /** True while the file is being sent. */
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
    const problem = files.length > 1 ? { key: "composer_one" } : fileProblem(file, maxBytes);
    if (problem) return this.#reject(problem, formatBytes(this.#language, maxBytes ?? 0));
    this.#file = file;
    this.#enter("reading");
    const measured = await this.#view.open(file);
    if (this.#file !== file) return;
    const maxSec = this.#limit("max-duration");
    const tooLong = lengthProblem(measured, maxSec);
    if (tooLong) return this.#reject(tooLong, formatMediaTime(Math.round(maxSec ?? 0)));
    this.#accept(measured);
  }

  /** @param {MeasuredVideo} measured */
  #accept(measured) {
    this.#measured = measured;
    this.#posterTime = loadUpload(this.#key)?.posterTime ?? null;
    this.#enter("ready");
    this.#view.showFrame(this.#posterTime ?? Math.min(PREVIEW_AT_SEC, (measured.durationSec ?? 0) / 3));
  }

  get #key() {
    return this.#file ? uploadKey(this.#user, this.#base, this.#file) : "";
  }

  /**
   * @param {Line} line
   * @param {string} limit
   */
  #reject(line, limit) {
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
    this.#upload = new FileUpload(this.#api(), {
      file,
      key: this.#key,
      posterTime: this.#posterTime,
      type: mediaTypeOf(file) ?? "",
      postId: postIdOf(this) || randomUuid(),
      declared: this.#declaredFields(file),
      onTicket: (ticket) => void this.#announceUpload(ticket),
      onBytes: (bytes) => this.#updateProgress(bytes),
      onWaiting: (isWaiting) => this.#set({ isWaiting }),
      onStage: (stage) => this.#set({ stage }),
    });
    await this.#run();
  }

  #api() {
    const token = this.getAttribute("token");
    return new UploadApi(this.#base, () => (this.tokenProvider ? this.tokenProvider() : token));
  }

  /** @param {File} file */
  #declaredFields(file) {
    const title = this.getAttribute("video-title");
    const fields = { mime_type: mediaTypeOf(file), size_bytes: file.size, title, poster_time_sec: this.#posterTime };
    return { ...fields, ...measuredFields(this.#measured) };
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
      this.#dispatch("created", video);
    } catch (error) {
      if (this.#upload === upload) this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      this.#enter("paused");
      return this.#dispatch("paused", {});
    }
    this.#problem = failureReason(error);
    this.#isFinal = isFinal(error);
    this.#enter("failed");
    const code = error instanceof RequestRefused ? error.code : "";
    const message = translate(this.#language, this.#problem);
    this.#dispatch("failed", { code, message, final: this.#isFinal });
    if (!isExpected(error)) reportError(error);
  }

  async #cancel() {
    const upload = this.#upload;
    this.#clear();
    this.#enter("empty");
    this.#view.announce(translate(this.#language, { key: "composer_cancelled" }));
    this.#dispatch("cancelled", {});
    await upload?.abandon();
  }

  async #discard() {
    this.#problem = null;
    for (const { key, upload } of unfinishedUploads(this.#user, this.#base)) {
      try {
        await abandonUpload(this.#api(), upload);
      } catch (error) {
        this.#problem = failureReason(error);
        break;
      }
      removeUpload(key);
      this.#dispatch("cancelled", { post_id: upload.postId });
    }
    this.#render();
  }

  /** @param {StoredUpload} ticket */
  async #announceUpload({ postId, uploadId, posterTime }) {
    const [upload, measured] = [this.#upload, measuredFields(this.#measured)];
    this.#postId = postId;
    const poster = await this.#view.frame();
    const detail = { upload_id: uploadId, poster_time_sec: posterTime, ...measured, poster };
    // The upload may have been abandoned since.
    if (this.#upload === upload) this.#dispatch("publish", detail);
  }

  /** @param {number} bytes */
  #updateProgress(bytes) {
    this.#bytes = bytes;
    this.#render();
    const percent = percentOf(bytes, this.#file);
    this.#dispatch("progress", { percent, sent_bytes: bytes });
    const quarter = Math.floor(percent / ANNOUNCED_EVERY_PERCENT) * ANNOUNCED_EVERY_PERCENT;
    this.#announceOnce(`${quarter}`, { key: "percent", values: { percent: quarter } });
  }

  /** @param {{ stage?: UploadStage, isWaiting?: boolean }} changes */
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

  /** Forget the file. The server keeps its parts until the upload is cancelled or swept. */
  #clear() {
    this.#upload?.pause();
    this.#upload = this.#file = this.#measured = this.#posterTime = this.#problem = null;
    this.#bytes = 0;
    this.#announced = "";
    this.#view.close();
  }

  #render() {
    const interrupted = unfinishedUploads(this.#user, this.#base);
    const input = {
      ...{ phase: this.#phase, file: this.#file, measured: this.#measured, problem: this.#problem },
      unfinished: interrupted[0]?.upload.name ?? null,
      isInterrupted: interrupted.some((each) => each.key === this.#key),
      ...{ stage: this.#stage, isWaiting: this.#isWaiting, isFinal: this.#isFinal, bytes: this.#bytes },
      isPosterPicked: this.#posterTime !== null,
      isOnline: navigator.onLine,
    };
    const content = viewContent(input, this.#language);
    this.#view.show(content);
    return content;
  }

  get #language() {
    const language = languageOf(this);
    void loadWords(language)?.then(() => this.#render());
    return language;
  }

  /**
   * @param {string} key
   * @param {Line} line
   */
  #announceOnce(key, line) {
    if (key === this.#announced) return;
    this.#announced = key;
    this.#view.announce(translate(this.#language, line));
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  #dispatch(name, detail) {
    const details = { post_id: this.#postId, ...detail };
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: details }));
  }
}

if (!customElements.get("khronika-composer")) customElements.define("khronika-composer", KhronikaComposer);
