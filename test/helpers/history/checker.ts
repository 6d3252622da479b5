/** Does a history break a rule? Reads it line by line, and names the lines of the first violation of each rule. */
import {createReadStream} from 'node:fs';
import {createInterface} from 'node:readline';
import type {Line, Numbered} from './line.js';
import {isAbout, LockPast} from './past.js';
import {type Objection, type Rule, RULES} from './rules.js';

export interface Violation {
  readonly rule: string;
  readonly why: string;
  readonly lines: readonly Numbered[];
}

export interface Judgement {
  readonly events: number;
  readonly locks: number;
  readonly processes: number;
  readonly acquisitions: number;
  readonly handovers: number;
  /** The first of each rule. */
  readonly violations: readonly Violation[];
}

/** An objection that holds as soon as its process, or thread, writes another line. */
interface Pending extends Violation {
  readonly lock: string;
  readonly thread: number | undefined;
}

/** Judges the lines of one history in their order. */
export class Checker {
  readonly #locks = new Map<string, LockPast>();
  readonly #owners = new Map<string, string>();
  readonly #processes = new Set<string>();
  readonly #names = new Set<string>();
  readonly #disturbed = new Set<string>();
  readonly #pending = new Map<string, Pending[]>();
  readonly #violations = new Map<string, Violation>();
  readonly #rules: readonly [string, Rule][];
  readonly #counts = {events: 0, acquisitions: 0, handovers: 0};

  constructor(rules: Readonly<Record<string, Rule>> = RULES) {
    this.#rules = Object.entries(rules);
  }

  add(text: string): void {
    const line = {...(JSON.parse(text) as Line), number: ++this.#counts.events} as Numbered;
    this.#processes.add(line.by);
    this.#names.add(line.lock);
    this.#awaken(line);
    if (line.event === 'disturbed') this.#forget(line.lock);
    if (this.#disturbed.has(line.lock)) return;
    const past = this.#locks.get(line.lock) ?? new LockPast();
    this.#locks.set(line.lock, past);
    for (const [rule, judge] of this.#rules)
      for (const objection of judge(line, past, this.#owners)) this.#object(rule, line, objection);
    past.add(line);
    if (isAbout(line, 'acquired', 'handed-over')) this.#owners.set(line.identity, line.by);
    if (line.event === 'acquired') this.#counts.acquisitions++;
    if (line.event === 'handed-over') this.#counts.handovers++;
  }

  get judgement(): Judgement {
    return {
      ...this.#counts,
      locks: this.#names.size,
      processes: this.#processes.size,
      violations: [...this.#violations.values()],
    };
  }

  #object(rule: string, line: Numbered, {why, from, unless}: Objection): void {
    const violation = {rule, why, lines: [...from, line]};
    if (unless === undefined) return this.#violate(violation);
    const pending = this.#pending.get(unless.dead) ?? [];
    this.#pending.set(unless.dead, pending);
    pending.push({...violation, lock: line.lock, thread: unless.thread});
  }

  /** A process that writes lives. */
  #awaken(line: Numbered): void {
    const pending = this.#pending.get(line.by);
    if (!pending) return;
    const waits = ({thread}: Pending) => thread !== undefined && thread !== line.thread;
    for (const {rule, why, lines} of pending.filter(each => !waits(each)))
      this.#violate({rule, why, lines: [...lines, line]});
    this.#pending.set(line.by, pending.filter(waits));
  }

  #violate(violation: Violation): void {
    if (!this.#violations.has(violation.rule)) this.#violations.set(violation.rule, violation);
  }

  #forget(lock: string): void {
    this.#disturbed.add(lock);
    this.#locks.delete(lock);
    for (const [by, pending] of this.#pending)
      this.#pending.set(
        by,
        pending.filter(each => each.lock !== lock),
      );
  }
}

/** Judges the history in a file. */
export async function checkHistory(path: string): Promise<Judgement> {
  const checker = new Checker();
  for await (const line of createInterface({input: createReadStream(path)})) checker.add(line);
  return checker.judgement;
}

/** The violation in words, with its lines. */
export function describe({rule, why, lines}: Violation): string {
  return [
    `${rule}: ${why}`,
    ...lines.map(({number, ...line}) => `line ${number}: ${JSON.stringify(line)}`),
  ].join('\n');
}
