import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { md5 } from "../../../web/composer/md5.js";
import { isFinal } from "../../../web/composer/retry.js";
import { viewContent } from "../../../web/composer/view-content.js";
import { ENGLISH, GEORGIAN } from "../../../web/composer/words.js";
import { RequestRefused, ServerUnreachable, requestJson } from "../../../web/composer/requests.js";
import { randomUuid } from "../../../web/composer/uuid.js";
import { fileProblem, formatBytes, lengthProblem, mediaTypeOf } from "../../../web/composer/video-file.js";
import { formatMediaTime } from "../../../web/media-time.js";
import { register } from "../../../web/words.js";

register("en", ENGLISH);

const file = { name: "a.mp4", type: "video/mp4", size: 2_000_000 };
const input = { phase: "ready", file, measured: null, problem: null, unfinished: null, bytes: 0, stage: "sending" };

test("a video is known by its type, or by its name if the browser knows no type", () => {
  assert.equal(mediaTypeOf(file), "video/mp4");
  assert.equal(mediaTypeOf({ name: "Holiday.MKV", type: "" }), "video/x-matroska");
  assert.equal(mediaTypeOf({ name: "a.txt", type: "text/plain" }), null);
});

test("a file that the server would refuse is refused before anything is sent", () => {
  assert.equal(fileProblem(file, null), null);
  assert.equal(fileProblem(file, file.size), null);
  assert.deepEqual(fileProblem(file, file.size - 1), { key: "composer_too_large" });
  assert.deepEqual(fileProblem({ ...file, size: 0 }, null), { key: "composer_empty" });
  assert.deepEqual(fileProblem({ ...file, type: "", name: "a" }, null), { key: "composer_not_video" });
});

test("a digest equals that of servers at every boundary of pieces and blocks", async () => {
  const mib = 1024 * 1024;
  for (const size of [0, 1, 55, 56, 63, 64, 65, mib - 1, mib, mib + 1, 2 * mib + 60]) {
    const content = randomBytes(size);
    const expected = createHash("md5").update(content).digest("base64");
    assert.equal(await md5(new Blob([content]), AbortSignal.any([])), expected, `${size}`);
  }
});

test("an aborted digest ends", async () => {
  await assert.rejects(md5(new Blob(["a"]), AbortSignal.abort()), { name: "AbortError" });
});

test("a file of unknown length is accepted", () => {
  assert.equal(lengthProblem({ durationSec: null }, 60), null);
  assert.equal(lengthProblem({ durationSec: 60 }, 60), null);
  assert.deepEqual(lengthProblem({ durationSec: 61 }, 60), { key: "composer_too_long" });
});

test("sizes and lengths are written for people", () => {
  assert.equal(formatBytes("en", 999), "999 byte");
  assert.equal(formatBytes("en", 1_500_000), "1.5 MB");
  assert.equal(formatBytes("en", 5_000_000_000_000), "5,000 GB");
  assert.equal(formatMediaTime(61), "1:01");
  assert.equal(formatMediaTime(3661.4), "1:01:01");
});

test("the phase decides the actions", () => {
  const actions = (changes) => viewContent({ ...input, ...changes }, "en").actions;
  assert.deepEqual(Object.keys(actions({ phase: "uploading" })), ["pause", "cancel"]);
  assert.deepEqual(Object.keys(actions({ phase: "uploading", stage: "registering" })), []);
  assert.deepEqual(Object.keys(actions({ phase: "failed" })), ["again", "other"]);
  assert.deepEqual(Object.keys(actions({ phase: "failed", isFinal: true })), ["other"]);
  assert.equal(actions({}).publish, "Publish");
  assert.equal(actions({ isInterrupted: true }).publish, "Resume the upload");
  assert.deepEqual(Object.keys(actions({ phase: "empty", unfinished: "b.mp4" })), ["choose", "discard"]);
});

test("a limit that ends in seconds is waited for, a quota is reported at once", () => {
  const isTransient = (status, code) => new RequestRefused(status, code, "", null).isTransient;
  for (const code of ["rate_limited", "owner_busy", ""]) assert.ok(isTransient(429, code), code);
  for (const code of ["quota_exceeded", "too_many_in_flight", "too_many_uploads"]) assert.ok(!isTransient(429, code), code);
  assert.ok(isTransient(409, "idempotency_in_flight"));
  assert.ok(isTransient(503, "database_unavailable"));
});

test("an upload is abandoned only if its file or its post is refused", () => {
  const isAbandoned = (status, code) => isFinal(new RequestRefused(status, code, "", null));
  assert.ok(isAbandoned(413, "source_too_large"));
  assert.ok(isAbandoned(422, "unsupported_media"));
  assert.ok(isAbandoned(409, "post_has_asset"));
  assert.ok(!isAbandoned(422, "checksum_mismatch"));
  assert.ok(!isAbandoned(409, "upload_incomplete"));
  assert.ok(!isAbandoned(401, "token_expired"));
  assert.ok(!isAbandoned(429, "quota_exceeded"));
  assert.ok(!isFinal(new ServerUnreachable()));
});

test("an answer that breaks off counts as unreachable, and as aborted after a pause", async (t) => {
  const breaking = (error) => new Response(new ReadableStream({ start: (body) => body.error(error) }));
  const fetched = t.mock.method(globalThis, "fetch");
  fetched.mock.mockImplementation(async () => breaking(new TypeError("network error")));
  await assert.rejects(requestJson("GET", "/", null, {}), ServerUnreachable);
  fetched.mock.mockImplementation(async () => breaking(new DOMException("", "AbortError")));
  await assert.rejects(requestJson("GET", "/", null, {}), { name: "AbortError" });
});

test("a random id is a UUID of version 4 and never repeats", () => {
  const ids = Array.from({ length: 64 }, randomUuid);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});

test("the status tells the progress, or the cause of a wait", () => {
  const status = (changes) =>
    viewContent({ ...input, phase: "uploading", isOnline: true, bytes: 500_000, ...changes }, "en").status;
  assert.equal(status({}), "25% of 2 MB");
  assert.match(status({ isOnline: false }), /offline/);
  assert.match(status({ isWaiting: true }), /does not answer/);
  assert.match(status({ stage: "checking" }), /Checking/);
});

test("Georgian has every word that English has, with the same placeholders", () => {
  const own = Object.keys(GEORGIAN).filter((key) => !key.startsWith("error."));
  assert.deepEqual(own, Object.keys(ENGLISH));
  for (const [key, words] of Object.entries(ENGLISH)) {
    assert.deepEqual(GEORGIAN[key].match(/\{\w+\}/g)?.sort(), words.match(/\{\w+\}/g)?.sort(), key);
  }
});
