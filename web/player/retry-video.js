/** Asking for a failed video to be tried again. */

import { retryAfter } from "../backoff.js";
import { complete } from "../words.js";

/** @import { Feed } from "./card-feed.js" */
/** @import { Line } from "../types.js" */

complete("en", {
  retry_sent: "Your video will be tried again.",
  retry_later: "You can try again {when}.",
  retry_refused: "It could not be tried again. Please try later.",
});

/**
 * @param {Feed} feed
 * @param {string} postId
 * @returns {Promise<Line | null>} What to tell the owner; null when the card itself tells it.
 */
export async function retry(feed, postId) {
  const response = await feed
    .call("/api/video-assets/retry", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ post_id: postId }),
    })
    .catch(() => null);
  if (response?.ok) {
    feed.put(await response.json());
    return { key: "retry_sent" };
  }
  if (response?.status === 409) {
    // Somebody was faster, or it has succeeded meanwhile: the card says which.
    await feed.refresh(postId);
    return null;
  }
  const wait = response && retryAfter(response.headers.get("Retry-After"), Date.now());
  return wait ? { key: "retry_later", values: { when: wait } } : { key: "retry_refused" };
}
