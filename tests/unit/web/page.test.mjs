import assert from "node:assert/strict";
import { test } from "node:test";

import { parseRetryAfter, requestDelay } from "../../../web/backoff.js";
import "../../../web/player/owner-state.js";
import { loadWords, register, translate } from "../../../web/words.js";
import { aspectRatio, placeholderGradient } from "../../../web/player/view-content.js";

const half = () => 0.5;

test("polling slows down without changes, and more with failures", () => {
  assert.equal(requestDelay({ failures: 0, quiet: 0 }, half), 4000);
  assert.equal(requestDelay({ failures: 0, quiet: 2 }, half), 9000);
  assert.equal(requestDelay({ failures: 3, quiet: 0 }, half), 8000);
  assert.equal(requestDelay({ failures: 30, quiet: 0 }, half), 60_000);
});

test("the delay is spread, so that pages do not return at the same instant", () => {
  assert.equal(requestDelay({ failures: 0, quiet: 0 }, () => 0), 3000);
  assert.equal(requestDelay({ failures: 0, quiet: 0 }, () => 1), 5000);
});

test("a Retry-After is never undercut", () => {
  assert.equal(requestDelay({ failures: 1, quiet: 0, retryAfterSec: 90 }, () => 0), 90_000);
  assert.equal(requestDelay({ failures: 1, quiet: 0, retryAfterSec: 0 }, half), 2000);
});

test("Retry-After is seconds or a date, and nothing else", () => {
  assert.equal(parseRetryAfter("7", 0), 7);
  assert.equal(parseRetryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 0), 60);
  assert.equal(parseRetryAfter("Thu, 01 Jan 1970 00:00:00 GMT", 5000), 0);
  assert.equal(parseRetryAfter("999999", 0), 3600);
  assert.equal(parseRetryAfter("soon", 0), null);
  assert.equal(parseRetryAfter(null, 0), null);
});

test("the placeholder is the documented function of the id", () => {
  assert.equal(
    placeholderGradient("00000000-0000-4000-8000-0a010000ff00"),
    "linear-gradient(10deg, hsl(256 45% 30%), hsl(286 50% 20%))",
  );
  assert.equal(placeholderGradient("../evil"), null);
});

test("white text is legible on every possible placeholder", () => {
  for (let hue = 0; hue < 360; hue += 1) {
    assert.ok(contrastOfWhite(hue, 0.45, 0.3) > 4.5, `${hue}`);
    assert.ok(contrastOfWhite(hue, 0.5, 0.2) > 4.5, `${hue}`);
  }
});

function contrastOfWhite(hue, saturation, lightness) {
  const channel = (shift) => {
    const at = (shift + hue / 30) % 12;
    const reach = saturation * Math.min(lightness, 1 - lightness);
    const value = lightness - reach * Math.max(-1, Math.min(at - 3, 9 - at, 1));
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 1.05 / (0.2126 * channel(0) + 0.7152 * channel(8) + 0.0722 * channel(4) + 0.05);
}

test("the measured size counts, then the declared one, then 16:9", () => {
  assert.equal(aspectRatio({ width: 720, height: 1280 }, "16", "9"), "720 / 1280");
  assert.equal(aspectRatio({ width: null, height: null }, "4", "3"), "4 / 3");
  assert.equal(aspectRatio(null, null, "3"), "16 / 9");
  assert.equal(aspectRatio(null, "url(x)", "3"), "16 / 9");
});

test("numbers, percentages and times are written as the language writes them", async () => {
  assert.equal(translate("en", { key: "percent", values: { percent: 61.6 } }), "62%");
  assert.equal(translate("en", { key: "starts", values: { when: 240 } }), "Starts about in 4 minutes.");
  assert.equal(translate("en", { key: "starts", values: { when: 7200 } }), "Starts about in 2 hours.");
  await loadWords("ka");
  assert.equal(loadWords("ka"), null);
  assert.equal(
    translate("ka", { key: "starts", values: { when: 240 } }),
    "დაიწყება დაახლოებით 4 წუთში.",
  );
});

test("a reason without a translation is shown as the API says it", () => {
  assert.equal(translate("en", { key: "error.source_empty", text: "Empty." }), "Empty.");
  assert.equal(translate("ka", { key: "error.brand_new", text: "New." }), "New.");
  assert.notEqual(translate("ka", { key: "error.source_empty", text: "Empty." }), "Empty.");
});

test("a language of the site falls back to English for a missing key", () => {
  register("de", { play: "Abspielen" });
  assert.equal(translate("de", { key: "play" }), "Abspielen");
  assert.equal(translate("de", { key: "retry" }), "Retry");
});

test("a title that looks like a placeholder is left alone", () => {
  assert.equal(
    translate("en", { key: "play_titled", values: { title: "{title} $& <b>" } }),
    "Play video: {title} $& <b>",
  );
});
