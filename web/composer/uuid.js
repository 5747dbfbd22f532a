/** Random UUIDs on any origin. */

/**
 * Make a random UUID (RFC 9562, version 4). Browsers offer `crypto.randomUUID` on secure origins
 * only, and a site on a local network may not be one.
 */
export function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[(bytes[8] ?? 0) & 3];
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, `$1-$2-4$3-${variant}$4-$5`);
}
