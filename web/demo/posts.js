/** The feed and a post's page: the player, and who looks at it. */

import { token } from "./session.js";

/** @import { KhronikaVideo } from "../khronika-video.js" */

/** @type {NodeListOf<KhronikaVideo>} */
const videos = document.querySelectorAll("khronika-video[post-id]");
// Before the element is known, so that it asks once, and as the right one.
for (const video of videos) video.tokenProvider = token;
// Without the player there is still all else that the posts say.
const player = await import("../khronika-video.js").catch(() => null);
for (const video of videos) if (player && video.dataset["sample"]) await registerSample(video);

/**
 * Have the sample clip processed for its post: what a site does with a post that has an address.
 *
 * @param {KhronikaVideo} video
 */
async function registerSample(video) {
  const postId = video.getAttribute("post-id") ?? "";
  const known = await fetch(`/api/video-assets?post_ids=${postId}`).then((answer) => answer.json());
  if (known.assets?.length !== 0) return;
  const answer = await fetch("/api/video-assets/create", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": postId,
      Authorization: `Bearer ${await token()}`,
    },
    body: JSON.stringify({
      post_id: postId,
      source_url: new URL("/demo/sample.mp4", location.href).href,
      title: video.dataset["sample"],
    }),
  });
  if (answer.ok) video.card = await answer.json();
}
