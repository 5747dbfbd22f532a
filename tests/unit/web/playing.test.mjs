import assert from "node:assert/strict";
import { test } from "node:test";

import { formatMediaTime } from "../../../web/media-time.js";
import { browserAbilities, chooseEngines, sourcesOf } from "../../../web/player/playback-engines.js";
import { cueAt, parseCues } from "../../../web/player/storyboard-cues.js";

const BOTH = { manifest: "/m.m3u8", file: "/f.mp4" };
const AGENTS = {
  chrome: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36",
  android: "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Version/4.0 Safari/537.36",
  safari: "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/16.6 Safari/605.1.15",
};

const abilities = (claim, userAgent, more = {}) =>
  browserAbilities({ canPlayType: () => claim }, { navigator: { userAgent }, ...more });

test("hls.js comes before the browser's own, and the file comes last", () => {
  const all = { mediaSource: true, claimsHls: true, isTrusted: true };
  assert.deepEqual(chooseEngines(BOTH, all), ["hls.js", "native", "file"]);
});

test("a claim of Chrome to play HLS is not trusted", () => {
  const found = abilities("maybe", AGENTS.chrome, { MediaSource: class {} });
  assert.deepEqual(chooseEngines(BOTH, found), ["hls.js", "file"]);
  assert.deepEqual(chooseEngines(BOTH, abilities("maybe", AGENTS.android)), ["file"]);
});

test("a claim of an old iPhone, or of a browser with Managed Media Source, is trusted", () => {
  assert.deepEqual(chooseEngines(BOTH, abilities("maybe", AGENTS.safari)), ["native", "file"]);
  const managed = abilities("maybe", AGENTS.chrome, { ManagedMediaSource: class {} });
  assert.deepEqual(chooseEngines(BOTH, managed), ["hls.js", "native", "file"]);
});

test("without addresses there is no engine", () => {
  const all = { mediaSource: true, claimsHls: true, isTrusted: true };
  assert.deepEqual(chooseEngines({ manifest: null, file: null }, all), []);
});

test("a legacy address is a file or a playlist by its name, and a card's addresses replace it", () => {
  assert.deepEqual(sourcesOf(null, "/a.mp4"), { manifest: null, file: "/a.mp4" });
  assert.deepEqual(sourcesOf(null, "/a.m3u8?t=1"), { manifest: "/a.m3u8?t=1", file: null });
  const card = { manifest_url: "/m.m3u8", fallback_url: null };
  assert.deepEqual(sourcesOf(card, "/a.mp4"), { manifest: "/m.m3u8", file: null });
});

const STORYBOARD = `WEBVTT

1
00:00.000 --> 00:02.000
sprite.jpg#xywh=0,0,160,90

NOTE nothing

00:00:02.000 --> 01:00:04.500 align:start
https://cdn.example/b.jpg?x=1#xywh=160,90,160,90

00:05.000 --> 00:06.000
no picture here
`;

test("a storyboard's pictures are found by their place in the image", () => {
  const cues = parseCues(STORYBOARD.replaceAll("\n", "\r\n"), "https://v.example/a/story.vtt");
  assert.equal(cues.length, 2);
  assert.deepEqual(cues[0], {
    start: 0,
    end: 2,
    url: "https://v.example/a/sprite.jpg",
    x: 0,
    y: 0,
    width: 160,
    height: 90,
  });
  assert.equal(cues[1].end, 3604.5);
  assert.equal(cueAt(cues, 1.9), cues[0]);
  assert.equal(cueAt(cues, 9000), cues[1]);
  assert.equal(cueAt([], 1), null);
});

test("a text that is no storyboard has no pictures", () => {
  assert.deepEqual(parseCues("<html></html>", "https://v.example/"), []);
});

test("a time is written as a player's clock shows it", () => {
  assert.equal(formatMediaTime(5.9), "0:05");
  assert.equal(formatMediaTime(65), "1:05");
  assert.equal(formatMediaTime(3661), "1:01:01");
});
