import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { md5 } from "../../../web/composer/md5.js";
import { isFinal } from "../../../web/composer/retry.js";
import { wordsOf } from "../../../web/composer/view-content.js";
import { ENGLISH, GEORGIAN } from "../../../web/composer/words.js";
import { Refused, Unreachable, ask } from "../../../web/composer/requests.js";
import { uuid } from "../../../web/composer/uuid.js";
import {
  clock,
  objectionTo,
  objectionToLength,
  sizeInWords,
  typeOf,
} from "../../../web/composer/video-file.js";
import { register } from "../../../web/words.js";

register("en", ENGLISH);

const file = { name: "a.mp4", type: "video/mp4", size: 2_000_000 };
const scene = { phase: "ready", file, measured: null, problem: null, unfinished: null, bytes: 0, stage: "sending" };

test("a video is known by its type, or by its name where the browser knows none", () => {
  assert.equal(typeOf(file), "video/mp4");
  assert.equal(typeOf({ name: "Holiday.MKV", type: "" }), "video/x-matroska");
  assert.equal(typeOf({ name: "a.txt", type: "text/plain" }), null);
});

test("what would be refused is said before anything is sent", () => {
  assert.equal(objectionTo(file, null), null);
  assert.equal(objectionTo(file, file.size), null);
  assert.deepEqual(objectionTo(file, file.size - 1), { key: "composer_too_large" });
  assert.deepEqual(objectionTo({ ...file, size: 0 }, null), { key: "composer_empty" });
  assert.deepEqual(objectionTo({ ...file, type: "", name: "a" }, null), { key: "composer_not_video" });
});

test("a digest is the one that servers compute, wherever pieces and blocks end", async () => {
  const mib = 1024 * 1024;
  for (const size of [0, 1, 55, 56, 63, 64, 65, mib - 1, mib, mib + 1, 2 * mib + 60]) {
    const content = randomBytes(size);
    const expected = createHash("md5").update(content).digest("base64");
    assert.equal(await md5(new Blob([content]), AbortSignal.any([])), expected, `${size}`);
  }
});

test("a digest that nobody waits for any more is given up", async () => {
  await assert.rejects(md5(new Blob(["a"]), AbortSignal.abort()), { name: "AbortError" });
});

test("a length that is not known is no objection", () => {
  assert.equal(objectionToLength({ durationSec: null }, 60), null);
  assert.equal(objectionToLength({ durationSec: 60 }, 60), null);
  assert.deepEqual(objectionToLength({ durationSec: 61 }, 60), { key: "composer_too_long" });
});

test("sizes and lengths are written as people write them", () => {
  assert.equal(sizeInWords("en", 999), "999 byte");
  assert.equal(sizeInWords("en", 1_500_000), "1.5 MB");
  assert.equal(sizeInWords("en", 5_000_000_000_000), "5,000 GB");
  assert.equal(clock(61), "1:01");
  assert.equal(clock(3661.4), "1:01:01");
});

test("what can be done is what the phase allows", () => {
  const actions = (changes) => wordsOf({ ...scene, ...changes }, "en").actions;
  assert.deepEqual(Object.keys(actions({ phase: "uploading" })), ["pause", "cancel"]);
  assert.deepEqual(Object.keys(actions({ phase: "uploading", stage: "registering" })), []);
  assert.deepEqual(Object.keys(actions({ phase: "failed" })), ["again", "other"]);
  assert.deepEqual(Object.keys(actions({ phase: "failed", isFinal: true })), ["other"]);
  assert.equal(actions({}).publish, "Publish");
  assert.equal(actions({ isKnown: true }).publish, "Go on with the upload");
  assert.deepEqual(Object.keys(actions({ phase: "empty", unfinished: "b.mp4" })), ["choose", "discard"]);
});

test("only what is over in seconds is waited for; a quota is said at once", () => {
  const isPassing = (status, code) => new Refused(status, code, "", null).isPassing;
  for (const code of ["rate_limited", "owner_busy", ""]) assert.ok(isPassing(429, code), code);
  for (const code of ["quota_exceeded", "too_many_in_flight", "too_many_uploads"]) assert.ok(!isPassing(429, code), code);
  assert.ok(isPassing(409, "idempotency_in_flight"));
  assert.ok(isPassing(503, "database_unavailable"));
});

test("an upload is given up where its file or its post is refused, and for nothing else", () => {
  const isGivenUp = (status, code) => isFinal(new Refused(status, code, "", null));
  assert.ok(isGivenUp(413, "source_too_large"));
  assert.ok(isGivenUp(422, "unsupported_media"));
  assert.ok(isGivenUp(409, "post_has_asset"));
  assert.ok(!isGivenUp(422, "checksum_mismatch"));
  assert.ok(!isGivenUp(409, "upload_incomplete"));
  assert.ok(!isGivenUp(401, "token_expired"));
  assert.ok(!isGivenUp(429, "quota_exceeded"));
  assert.ok(!isFinal(new Unreachable()));
});

test("an answer that breaks off in the middle is none, and what is paused meanwhile is paused", async (t) => {
  const breaking = (error) => new Response(new ReadableStream({ start: (body) => body.error(error) }));
  const fetched = t.mock.method(globalThis, "fetch");
  fetched.mock.mockImplementation(async () => breaking(new TypeError("network error")));
  await assert.rejects(ask("GET", "/", null, {}), Unreachable);
  fetched.mock.mockImplementation(async () => breaking(new DOMException("", "AbortError")));
  await assert.rejects(ask("GET", "/", null, {}), { name: "AbortError" });
});

test("an id is a UUID of version 4 without the help of a secure origin, and never the same", () => {
  const ids = Array.from({ length: 64 }, uuid);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});

test("while bytes move it is said how many, and what they wait for", () => {
  const status = (changes) =>
    wordsOf({ ...scene, phase: "uploading", isOnline: true, bytes: 500_000, ...changes }, "en").status;
  assert.equal(status({}), "25% of 2 MB");
  assert.match(status({ isOnline: false }), /offline/);
  assert.match(status({ isWaiting: true }), /does not answer/);
  assert.match(status({ stage: "checking" }), /Checking/);
});

test("Georgian says everything that English does", () => {
  const own = Object.keys(GEORGIAN).filter((key) => !key.startsWith("error."));
  assert.deepEqual(own, Object.keys(ENGLISH));
  for (const [key, words] of Object.entries(ENGLISH)) {
    assert.deepEqual(GEORGIAN[key].match(/\{\w+\}/g)?.sort(), words.match(/\{\w+\}/g)?.sort(), key);
  }
});
