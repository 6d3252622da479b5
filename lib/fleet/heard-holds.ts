/** Has this node heard of that hold before? Each is held once; what was signed before stays signed, and anybody who may write to etcd could show it again. */
import {mkdirSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import {z} from 'zod';
import {LockError} from '../errors.js';
import {replaceFile} from '../os/durable.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';
import type {FleetHold} from './documents.js';

/** So many are remembered; of older ones only how old they are. */
const REMEMBERED = 1000;

/** Milliseconds behind its end after which a hold that was not heard of is not believed. Our clock may be that wrong. */
const STALE = 86_400_000;

const memory = z.object({
  v: z.literal(1),
  /** When the latest hold was asked for that is no longer remembered. */
  forgotten: z.iso.datetime().nullable(),
  holds: z.array(
    z.object({
      id: z.string(),
      /** When it was asked for, as its operator says. */
      at: z.iso.datetime(),
      bootId: z.string(),
      /** Its end: milliseconds on the monotonic clock of that boot. */
      until: z.number(),
    }),
  ),
});
type Memory = z.infer<typeof memory>;

/** Milliseconds since this boot; unlike `monotonic` the same for the next process. */
function sinceBoot(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

function replay(id: string, why: string): LockError {
  return new LockError('ERR_REPLAY', `hold ${id} ${why}`, {hold: id});
}

/** The memory of one node, in a file of STATE. */
export class HeardHolds {
  readonly #path: string;
  readonly #system: System;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, system: System) {
    this.#path = path;
    this.#system = system;
  }

  /**
   * Remembers a hold, durably, before it is taken. Gives the milliseconds that it may last: not more than `left`, nor longer than when it was first
   * heard of, whoever hears of it again. Rejects with ERR_REPLAY when its time is over or can not be told.
   */
  async hear(hold: FleetHold, left: number): Promise<number> {
    const asked = sinceBoot();
    const answer = this.#turn.then(async () => this.#hear(hold, asked + left));
    this.#turn = answer.catch(() => undefined);
    return (await answer) - sinceBoot();
  }

  /** Gives its end. */
  async #hear(hold: FleetHold, until: number): Promise<number> {
    const known = await this.#read();
    const before = known.holds.find(({id}) => id === hold.id);
    if (before) return this.#again(before, until);
    this.#refuseOld(hold, known);
    const {id, at} = hold;
    const holds = [...known.holds, {id, at, bootId: this.#system.bootId, until}].sort(
      (a, b) => Date.parse(a.at) - Date.parse(b.at),
    );
    const dropped = holds.splice(0, Math.max(0, holds.length - REMEMBERED));
    const forgotten = dropped.at(-1)?.at ?? known.forgotten;
    await this.#write({v: 1, forgotten, holds});
    return until;
  }

  /** An agent that was started anew hears of what is still in force. */
  #again({id, bootId, until}: Memory['holds'][number], asked: number): number {
    if (bootId !== this.#system.bootId)
      throw replay(id, 'was heard of before this machine was started: how long it may last is not known');
    if (until <= sinceBoot()) throw replay(id, 'was heard of before, and its time here is over');
    return Math.min(until, asked);
  }

  #refuseOld({id, at, for: lasts}: FleetHold, {forgotten}: Memory): void {
    if (forgotten !== null && Date.parse(at) <= Date.parse(forgotten))
      throw replay(
        id,
        `was asked for at ${at}, and what this node has heard of is remembered after ${forgotten} only`,
      );
    const now = this.#system.now();
    if (now > Date.parse(at) + lasts + STALE)
      throw replay(id, `was asked for at ${at}; here it is ${new Date(now).toISOString()}`);
  }

  async #read(): Promise<Memory> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return {v: 1, forgotten: null, holds: []};
      throw error;
    }
    try {
      return memory.parse(JSON.parse(text));
    } catch (cause) {
      throw new LockError(
        'ERR_REPLAY',
        `${this.#path} can not be read, so which holds were heard of before is not known; remove it to begin anew`,
        {path: this.#path},
        {cause},
      );
    }
  }

  async #write(known: Memory): Promise<void> {
    mkdirSync(dirname(this.#path), {recursive: true, mode: 0o700});
    await replaceFile(this.#path, `${this.#path}.new`, JSON.stringify(known));
  }
}
