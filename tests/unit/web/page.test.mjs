import assert from "node:assert/strict";
import { test } from "node:test";

import { pollDelay, retryAfter } from "../../../web/backoff.js";
import "../../../web/player/owner-state.js";
import { fetchLanguage, register, say } from "../../../web/words.js";
import { placeholderOf, ratioOf } from "../../../web/player/style.js";

const half = () => 0.5;

test("polling slows down while nothing happens, and more while it fails", () => {
  assert.equal(pollDelay({ failures: 0, quiet: 0 }, half), 4000);
  assert.equal(pollDelay({ failures: 0, quiet: 2 }, half), 9000);
  assert.equal(pollDelay({ failures: 3, quiet: 0 }, half), 8000);
  assert.equal(pollDelay({ failures: 30, quiet: 0 }, half), 60_000);
});

test("no two pages come back at the same instant", () => {
  assert.equal(pollDelay({ failures: 0, quiet: 0 }, () => 0), 3000);
  assert.equal(pollDelay({ failures: 0, quiet: 0 }, () => 1), 5000);
});

test("a server that names a time is left alone until then", () => {
  assert.equal(pollDelay({ failures: 1, quiet: 0, retryAfterSec: 90 }, () => 0), 90_000);
  assert.equal(pollDelay({ failures: 1, quiet: 0, retryAfterSec: 0 }, half), 2000);
});

test("Retry-After is seconds or a date, and nothing else", () => {
  assert.equal(retryAfter("7", 0), 7);
  assert.equal(retryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 0), 60);
  assert.equal(retryAfter("Thu, 01 Jan 1970 00:00:00 GMT", 5000), 0);
  assert.equal(retryAfter("999999", 0), 3600);
  assert.equal(retryAfter("soon", 0), null);
  assert.equal(retryAfter(null, 0), null);
});

test("the placeholder is the documented function of the id", () => {
  assert.equal(
    placeholderOf("00000000-0000-4000-8000-0a010000ff00"),
    "linear-gradient(10deg, hsl(256 45% 30%), hsl(286 50% 20%))",
  );
  assert.equal(placeholderOf("../evil"), null);
});

test("white text is legible on every placeholder there can be", () => {
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
  assert.equal(ratioOf({ width: 720, height: 1280 }, "16", "9"), "720 / 1280");
  assert.equal(ratioOf({ width: null, height: null }, "4", "3"), "4 / 3");
  assert.equal(ratioOf(null, null, "3"), "16 / 9");
  assert.equal(ratioOf(null, "url(x)", "3"), "16 / 9");
});

test("numbers, percentages and times are written as the language writes them", async () => {
  assert.equal(say("en", { key: "percent", values: { percent: 61.6 } }), "62%");
  assert.equal(say("en", { key: "starts", values: { when: 240 } }), "Starts about in 4 minutes.");
  assert.equal(say("en", { key: "starts", values: { when: 7200 } }), "Starts about in 2 hours.");
  await fetchLanguage("ka");
  assert.equal(fetchLanguage("ka"), null);
  assert.equal(
    say("ka", { key: "starts", values: { when: 240 } }),
    "დაიწყება დაახლოებით 4 წუთში.",
  );
});

test("a reason that has no translation is shown as the API says it", () => {
  assert.equal(say("en", { key: "error.source_empty", text: "Empty." }), "Empty.");
  assert.equal(say("ka", { key: "error.brand_new", text: "New." }), "New.");
  assert.notEqual(say("ka", { key: "error.source_empty", text: "Empty." }), "Empty.");
});

test("a site's own words stand beside the shipped ones", () => {
  register("de", { play: "Abspielen" });
  assert.equal(say("de", { key: "play" }), "Abspielen");
  assert.equal(say("de", { key: "retry" }), "Retry");
});

test("a title that looks like a placeholder is left alone", () => {
  assert.equal(
    say("en", { key: "play_titled", values: { title: "{title} $& <b>" } }),
    "Play video: {title} $& <b>",
  );
});
