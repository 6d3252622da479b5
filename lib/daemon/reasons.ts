/** How much may be said about why, in one request to the daemon? */

/** Letters of any reason. */
export const LONGEST_REASON = 200;

/** Letters of a reason to take a lock by force. */
export const SHORTEST_FORCE = 3;
