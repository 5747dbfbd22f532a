/** The shapes that the modules of this folder share. Read by the type checker, never served. */

export type Status = "queued" | "processing" | "completed" | "failed" | "retrying";
export type Step = "verifying" | "waiting" | "encoding" | "checking";

/** A post's video as the API describes it: the public card, and what only the owner is told. */
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

/** A string of the registry with what is filled in, or text that is shown as it came. */
export interface Line {
  key?: string;
  text?: string;
  values?: Values;
}

/** `when` is a number of seconds from now, `percent` one of 0 to 100. */
export type Values = Record<string, string | number>;

/** What is known of one post's video. */
export interface Known {
  card: Card | null;
  /** The API said that the post has no video. */
  gone: boolean;
  /** The API could not be reached, and there is no card. */
  unreachable: boolean;
}

export interface Situation extends Known {
  /** Percent sent so far, or null when nothing is being sent. */
  uploadPercent: number | null;
  /** Until when a post without a video may still get one; NaN where the page does not say. */
  pendingUntil: number;
  isOwner: boolean;
  isSlow: boolean;
  /** Playback broke off, and nothing is left to play it. */
  isBroken: boolean;
  /** The address of a post from before there were cards. */
  videoUrl: string | null;
  now: number;
}

export interface Description {
  state: State;
  canPlay: boolean;
  headline: Line | null;
  details: Line[];
  /** Percent, or null for no bar. */
  progress: number | null;
  /** The label of the button, if there is one. */
  action: Line | null;
}

export interface Sources {
  manifest: string | null;
  file: string | null;
}

export type Engine = "hls.js" | "native" | "file";

export type Token = string | null | undefined;
export type TokenProvider = () => Token | Promise<Token>;
