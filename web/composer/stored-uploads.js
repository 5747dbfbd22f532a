/**
 * The unfinished uploads in the browser's storage: they are resumed after a reload. The server knows
 * which parts have arrived; the storage holds the ticket to ask for them.
 */

const PREFIX = "khronika-upload ";

/**
 * @typedef {object} StoredUpload
 * @property {string} name The name of the file.
 * @property {string} postId
 * @property {string} uploadId
 * @property {Record<string, string>} headers The ticket.
 * @property {string} url The address of the upload's status.
 * @property {string | null} wholeUrl The target of a small file, sent in one request.
 * @property {string | null} partsUrl The address that gives the targets of a large file's parts.
 * @property {number | null} partBytes
 * @property {number | null} posterTime Seconds.
 * @property {string} expiresAt
 */

/**
 * Return the storage key of a file's upload. The same file has the same key. It is made of name,
 * size and time of change: browsers give no path, and a hash would take minutes.
 *
 * @param {string} user Separates the users of one browser.
 * @param {string} base The API's address.
 * @param {File} file
 */
export function uploadKey(user, base, file) {
  return `${keyPrefix(user, base)}${JSON.stringify([file.name, file.size, file.lastModified])}`;
}

/**
 * @param {string} user
 * @param {string} base
 */
function keyPrefix(user, base) {
  return `${PREFIX}${JSON.stringify([user, base])} `;
}

/**
 * @param {string} key
 * @param {StoredUpload} upload
 */
export function storeUpload(key, upload) {
  try {
    localStorage.setItem(key, JSON.stringify(upload));
  } catch {
    // The storage is full or forbidden: the upload works, but a reload starts it again.
  }
}

/**
 * @param {string} key
 * @param {number} [now]
 * @returns {StoredUpload | null} Null if there is none or its ticket has expired.
 */
export function loadUpload(key, now = Date.now()) {
  const upload = read(key);
  if (upload && Date.parse(upload.expiresAt) > now) return upload;
  removeUpload(key);
  return null;
}

/** @param {string} key */
export function removeUpload(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // A storage that cannot be written holds no upload.
  }
}

/**
 * Return the unfinished uploads of a user.
 *
 * @param {string} user
 * @param {string} base
 * @returns {{ key: string, upload: StoredUpload }[]}
 */
export function unfinishedUploads(user, base) {
  const prefix = keyPrefix(user, base);
  return storageKeys()
    .filter((key) => key.startsWith(prefix))
    .map((key) => ({ key, upload: loadUpload(key) }))
    .filter((each) => each.upload !== null)
    .map(({ key, upload }) => ({ key, upload: /** @type {StoredUpload} */ (upload) }));
}

function storageKeys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/**
 * @param {string} key
 * @returns {StoredUpload | null}
 */
function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
