/**
 * What a browser remembers of unfinished uploads, so that they go on after a reload. The server
 * knows which parts have arrived; here is only the way to ask it.
 */

const PREFIX = "khronika-upload ";

/**
 * @typedef {object} Remembered
 * @property {string} name Of the file.
 * @property {string} postId
 * @property {string} uploadId
 * @property {Record<string, string>} headers The ticket.
 * @property {string} url Where it is asked about.
 * @property {string | null} wholeUrl Where a small file goes in one request.
 * @property {string | null} partsUrl Where the parts of a large one are asked for.
 * @property {number | null} partBytes
 * @property {number | null} posterTime Seconds.
 * @property {string} expiresAt
 */

/**
 * The same file has the same one: a browser gives no path, and to hash it would take minutes.
 *
 * @param {string} user Keeps apart whoever shares a browser.
 * @param {string} base Of the API.
 * @param {File} file
 */
export function fingerprint(user, base, file) {
  return `${prefixOf(user, base)}${JSON.stringify([file.name, file.size, file.lastModified])}`;
}

/**
 * @param {string} user
 * @param {string} base
 */
function prefixOf(user, base) {
  return `${PREFIX}${JSON.stringify([user, base])} `;
}

/**
 * @param {string} key
 * @param {Remembered} upload
 */
export function remember(key, upload) {
  try {
    localStorage.setItem(key, JSON.stringify(upload));
  } catch {
    // Full or forbidden: the upload works, only a reload begins it anew.
  }
}

/**
 * @param {string} key
 * @param {number} [now]
 * @returns {Remembered | null}
 */
export function recall(key, now = Date.now()) {
  const upload = read(key);
  if (upload && Date.parse(upload.expiresAt) > now) return upload;
  forget(key);
  return null;
}

/** @param {string} key */
export function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // What cannot be written was not kept.
  }
}

/**
 * The uploads of this user that are not finished.
 *
 * @param {string} user
 * @param {string} base
 * @returns {{ key: string, upload: Remembered }[]}
 */
export function unfinished(user, base) {
  const prefix = prefixOf(user, base);
  return keys()
    .filter((key) => key.startsWith(prefix))
    .map((key) => ({ key, upload: recall(key) }))
    .filter((each) => each.upload !== null)
    .map(({ key, upload }) => ({ key, upload: /** @type {Remembered} */ (upload) }));
}

function keys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/**
 * @param {string} key
 * @returns {Remembered | null}
 */
function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
