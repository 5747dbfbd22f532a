/** The types that the modules of this folder share. Only the type checker reads them. */

export type Status = "queued" | "processing" | "completed" | "failed" | "retrying";
export type Step = "verifying" | "waiting" | "encoding" | "checking";

/** A post's video as the API describes it: the public card, and the fields that only its owner gets. */
export interface Card {
  asset_id: string;
  post_id: string;
  title?: string | null;
  playback?: "public" | "signed";
  status: Status;
  step?: Step | null;
  playable: boolean;
  source: "processed" | "original" | "none";
  progress?: number | null;
  manifest_url?: string | null;
  fallback_url?: string | null;
  poster_url?: string | null;
  thumbnail_url?: string | null;
  storyboard_url?: string | null;
  urls_expire_at?: string | null;
  duration_sec?: number | null;
  width?: number | null;
  height?: number | null;
  updated_at: string;
  owner_id?: string;
  attempt?: number;
  max_attempts?: number;
  next_attempt_at?: string | null;
  hold_reason?: string | null;
  error_code?: string | null;
  error_message?: string | null;
  retryable?: boolean | null;
  queue_position?: number | null;
  queue_wait_sec?: number | null;
}

/** A card, or the owner's document of the same video, which calls the asset's id `id`. */
export type CardDocument = Card & { id?: string };

export type State =
  | "loading"
  | "uploading"
  | "queued"
  | "processing"
  | "retrying"
  | "playable"
  | "ready"
  | "failed"
  | "unavailable";

/** A key of the words with the values to fill in, or a text that is shown unchanged. */
export interface Line {
  key?: string;
  text?: string;
  values?: Values;
}

/** Values by placeholder: `when` is a number of seconds from now, `percent` is 0 to 100. */
export type Values = Record<string, string | number>;

/** The result of asking the API for a post's video. */
export interface CardLookup {
  card: Card | null;
  /** The API said that the post has no video. */
  gone: boolean;
  /** The API could not be reached, and there is no card. */
  unreachable: boolean;
}

/** All facts that decide an element's state and its words. */
export interface Situation extends CardLookup {
  /** Percent uploaded; null if no upload is in progress. */
  uploadPercent: number | null;
  /** The end of the time in which the post may still get a video; NaN if the page sets none. */
  pendingUntil: number;
  isOwner: boolean;
  isSlow: boolean;
  /** Playback failed, and no other source is left. */
  isBroken: boolean;
  /** The video address of a post that is older than cards. */
  videoUrl: string | null;
  now: number;
}

export interface Description {
  state: State;
  canPlay: boolean;
  headline: Line | null;
  details: Line[];
  /** Percent; null for no bar. */
  progress: number | null;
  /** The label of the button; null for no button. */
  action: Line | null;
}

export interface Sources {
  manifest: string | null;
  file: string | null;
}

export type Engine = "hls.js" | "native" | "file";

export type Token = string | null | undefined;
export type TokenProvider = () => Token | Promise<Token>;
