/** The owner's request to retry a failed video. */

import { parseRetryAfter } from "../backoff.js";
import { addWords } from "../words.js";

/** @import { CardFeed } from "./card-feed.js" */
/** @import { Line } from "../types.js" */

addWords("en", {
  retry_sent: "Your video will be tried again.",
  retry_later: "You can try again {when}.",
  retry_refused: "It could not be tried again. Please try later.",
});

/**
 * @param {CardFeed} feed
 * @param {string} postId
 * @returns {Promise<Line | null>} The answer to show to the owner; null if the card shows it.
 */
export async function retryVideo(feed, postId) {
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
    // The video is no longer failed: another retry came first, or it succeeded. The card tells.
    await feed.refresh(postId);
    return null;
  }
  const wait = response && parseRetryAfter(response.headers.get("Retry-After"), Date.now());
  return wait ? { key: "retry_later", values: { when: wait } } : { key: "retry_refused" };
}
