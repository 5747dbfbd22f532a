import assert from "node:assert/strict";
import { test } from "node:test";

import { describeForOwner } from "../../../web/player/owner-state.js";
import { concernsOwner, describe } from "../../../web/player/video-state.js";

const KNOWN = { card: null, gone: false, unreachable: false };
const SITUATION = {
  uploadPercent: null,
  pendingUntil: NaN,
  isOwner: false,
  isSlow: false,
  isBroken: false,
  videoUrl: null,
  now: 0,
};
const CARD = {
  asset_id: "a",
  post_id: "p",
  status: "queued",
  playable: false,
  source: "none",
  updated_at: "2026-01-01T00:00:00Z",
};

const of = (card, more = {}) => {
  const situation = { ...KNOWN, ...SITUATION, card: card && { ...CARD, ...card }, ...more };
  return concernsOwner(situation) ? describeForOwner(situation) : describe(situation);
};

test("without a card the state is loading, unless something else is known", () => {
  assert.equal(of(null).state, "loading");
  assert.equal(of(null, { unreachable: true }).state, "unavailable");
  assert.equal(of(null, { gone: true }).state, "unavailable");
  assert.equal(of(null, { uploadPercent: 0 }).state, "uploading");
});

test("a post that waits for its video says so until its time is over", () => {
  const waiting = { gone: true, pendingUntil: 60_000, now: 59_999 };
  assert.deepEqual(of(null, waiting).headline, { key: "pending" });
  assert.deepEqual(of(null, { ...waiting, isOwner: true }).headline, { key: "pending_own" });
  assert.equal(of(null, waiting).state, "uploading");
  const over = { ...waiting, now: 60_000 };
  assert.deepEqual(of(null, over).headline, { key: "unavailable" });
  assert.deepEqual(of(null, { ...over, isOwner: true }).headline, { key: "not_arrived" });
  assert.equal(of(null, over).state, "unavailable");
});

test("a post that is unknown, or plays, does not wait for its video", () => {
  const pendingUntil = 60_000;
  assert.equal(of(null, { pendingUntil }).state, "loading");
  assert.equal(of(null, { pendingUntil, unreachable: true }).headline.key, "unreachable");
  assert.equal(of(null, { pendingUntil, gone: true, videoUrl: "/old.mp4" }).state, "ready");
  assert.equal(of(null, { pendingUntil: NaN, gone: true, isOwner: true }).headline.key, "unavailable");
  assert.equal(of({ status: "failed" }, { pendingUntil }).state, "failed");
});

test("a legacy address plays although the API has no card, or an unfinished one", () => {
  const videoUrl = "https://site.example/old.mp4";
  assert.equal(of(null, { videoUrl }).state, "ready");
  assert.equal(of(null, { videoUrl, gone: true }).canPlay, true);
  assert.equal(of({ status: "queued" }, { videoUrl }).state, "playable");
});

test("a published video stays playable while it is processed again, and after a failure", () => {
  for (const status of ["queued", "processing", "retrying", "failed"]) {
    const shown = of({ status, manifest_url: "/m" });
    assert.equal(shown.state, "playable");
    assert.equal(shown.canPlay, true);
    assert.equal(shown.headline, null);
  }
});

test("only the owner reads of a failed re-encode, with the reason and the button", () => {
  const failed = { status: "failed", manifest_url: "/m", error_code: "x", error_message: "Why." };
  const owners = of({ ...failed, retryable: true }, { isOwner: true });
  assert.deepEqual(owners.details, [{ key: "error.x", text: "Why." }]);
  assert.deepEqual(owners.action, { key: "retry" });
  assert.equal(of({ ...failed, retryable: true }).action, null);
});

test("an original that plays before the encode announces a better version", () => {
  const card = { source: "original", fallback_url: "/f", status: "processing" };
  assert.equal(of(card).headline.key, "improving");
});

test("a completed video without addresses is unavailable", () => {
  assert.equal(of({ status: "completed", playback: "signed" }).state, "unavailable");
});

test("a step without words is shown as processing", () => {
  const owner = { isOwner: true };
  assert.equal(of({ status: "processing", step: "checking" }, owner).headline.key, "checking");
  assert.equal(of({ status: "processing", step: "polishing" }, owner).headline.key, "encoding");
  assert.equal(of({ status: "processing", step: null }, owner).headline.key, "encoding");
});

test("the checks after the encode have words and neither bar nor percentage", () => {
  for (const isOwner of [true, false]) {
    const shown = of({ status: "processing", step: "checking", progress: 100 }, { isOwner });
    assert.equal(shown.headline.key, "checking");
    assert.deepEqual(shown.details, []);
    assert.equal(shown.progress, null);
  }
});

test("the attempt is counted against the budget only while it is within it", () => {
  const retrying = { status: "retrying", max_attempts: 5, next_attempt_at: "1970-01-01T00:02:00Z" };
  const [line] = of({ ...retrying, attempt: 2 }, { isOwner: true }).details;
  assert.deepEqual(line, { key: "next_attempt_of", values: { attempt: 3, most: 5, when: 120 } });
  assert.equal(of({ ...retrying, attempt: 7 }, { isOwner: true }).details[0].key, "next_attempt");
  assert.deepEqual(of({ ...retrying, attempt: 2 }).details, []);
});

test("an attempt that is overdue begins now, not in the past", () => {
  const retrying = { status: "retrying", attempt: 1, next_attempt_at: "1970-01-01T00:00:00Z" };
  assert.equal(of(retrying, { isOwner: true, now: 60_000 }).details[0].values.when, 0);
});

test("the owner reads the place in the queue while it is known", () => {
  const lines = of({ queue_position: 2, queue_wait_sec: 30 }, { isOwner: true }).details;
  assert.deepEqual(lines.map((line) => line.key), ["position", "starts"]);
  assert.deepEqual(of({ queue_position: null }, { isOwner: true }).details, []);
  assert.deepEqual(of({ queue_position: 2 }).details, []);
});

test("no progress shows no bar, and zero an empty one", () => {
  assert.equal(of({ status: "processing", progress: null }).progress, null);
  assert.equal(of({ status: "processing", progress: 0 }).progress, 0);
  assert.equal(of({ status: "failed", progress: 50 }).progress, null);
});
