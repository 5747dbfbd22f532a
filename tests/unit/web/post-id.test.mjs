import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.CSSStyleSheet = class {
  replaceSync() {}
};
const { postIdOf } = await import("../../../web/element-base.js");

const WRITTEN = "01890a5d-ac96-774b-bcce-b302099a8057";
const elementOf = (id) => ({ getAttribute: (name) => (name === "post-id" ? id : null) });

for (const spelling of [
  WRITTEN,
  WRITTEN.toUpperCase(),
  WRITTEN.replaceAll("-", ""),
  WRITTEN.replaceAll("-", "").toUpperCase(),
]) {
  test(`the post id ${spelling} is read as the API writes it`, () => {
    assert.equal(postIdOf(elementOf(spelling)), WRITTEN);
  });
}

test("an element without a post id has none, and another text stays as it is", () => {
  assert.equal(postIdOf(elementOf(null)), "");
  assert.equal(postIdOf(elementOf("post")), "post");
});
