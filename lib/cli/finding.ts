/** What does a check of this machine find? Told in one line, with what to do where it is not in order. */

export type Health = 'ok' | 'warn' | 'fail';

/** What a check found; advice where it is not ok. */
export interface Finding {
  readonly health: Health;
  readonly saw: string;
  readonly advice?: string;
}

export const ok = (saw: string): Finding => ({health: 'ok', saw});
export const warn = (saw: string, advice: string): Finding => ({health: 'warn', saw, advice});
export const fail = (saw: string, advice: string): Finding => ({health: 'fail', saw, advice});
