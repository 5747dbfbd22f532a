/** The feed and a post's page: the viewer of each video, and the sample clip. */

import { API, token } from "./session.js";

/** @import { KhronikaVideo } from "./session.js" */

/** @type {NodeListOf<KhronikaVideo>} */
const videos = document.querySelectorAll("khronika-video[post-id]");
// This module runs before the element's, so that the element asks once, and as the right viewer.
for (const video of videos) video.tokenProvider = token;
// Without the element the page still shows everything else of its posts.
void customElements.whenDefined("khronika-video").then(async () => {
  for (const video of videos) if (video.dataset["sample"]) await registerSample(video);
});

/**
 * Have the sample clip processed for its post, as a site does with a post that has an address.
 *
 * @param {KhronikaVideo} video
 */
async function registerSample(video) {
  const postId = video.getAttribute("post-id") ?? "";
  const known = await fetch(`${API}/api/video-assets?post_ids=${postId}`).then((answer) => answer.json());
  if (known.assets?.length !== 0) return;
  const answer = await fetch(`${API}/api/video-assets/create`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": postId,
      Authorization: `Bearer ${await token()}`,
    },
    body: JSON.stringify({
      post_id: postId,
      source_url: new URL("/sample.mp4", location.href).href,
      title: video.dataset["sample"],
    }),
  });
  if (answer.ok) video.card = await answer.json();
}
