/** What is known of a lock at a line of its history? What each thread did to it last, whose it is, and who is in its room. */
import type {EventName, Numbered} from './line.js';

type Given = Numbered<'acquired'> | Numbered<'handed-over'>;

/** Of how many epochs a thread's verdicts are remembered: an observer may see very many. */
const EPOCHS_KEPT = 16;

/** What one thread did to one lock. */
export class ThreadPast {
  readonly #last = new Map<EventName, Numbered>();
  /** Shares of the gate that it has, each with the line at which it was inside. */
  readonly inside: Numbered[] = [];
  /** The owner in force, as known at its last line of each event. */
  readonly #ownerThen = new Map<EventName, Given | undefined>();
  /** What it said of the lock at the epochs that it saw last. */
  readonly verdicts = new Map<number | null, Set<string>>();

  /** Its last line of an event. */
  last<Name extends EventName>(event: Name): Numbered<Name> | undefined {
    return this.#last.get(event) as Numbered<Name> | undefined;
  }

  /** The last one of an event, if it stands below that line. */
  since<Name extends EventName>(event: Name, line: Numbered | undefined): Numbered<Name> | undefined {
    const found = this.last(event);
    return found && found.number > (line?.number ?? 0) ? found : undefined;
  }

  /** Who owned the lock for certain when it wrote its last line of that event. */
  ownerAt(event: EventName): Given | undefined {
    return this.#ownerThen.get(event);
  }

  /** The hold that it has, by what it wrote itself. */
  hold(): Numbered<'hold-acknowledged'> | undefined {
    return this.since('hold-acknowledged', this.last('hold-ending'));
  }

  add(line: Numbered, owner: Given | undefined): void {
    this.#last.set(line.event, line);
    this.#ownerThen.set(line.event, owner);
    if (isAbout(line, 'verdict')) this.#addVerdict(line);
    if (line.event === 'entered') this.inside.push(line);
    if (line.event === 'leaving') this.inside.pop();
  }

  #addVerdict({epoch, state}: Numbered<'verdict'>): void {
    const states = this.verdicts.get(epoch) ?? new Set();
    this.verdicts.set(epoch, states.add(state));
    const [oldest] = this.verdicts.keys();
    if (this.verdicts.size > EPOCHS_KEPT && oldest !== undefined) this.verdicts.delete(oldest);
  }
}

export const isAbout = <Name extends EventName>(
  line: Numbered,
  ...names: readonly Name[]
): line is Numbered<Name> => (names as readonly EventName[]).includes(line.event);

/** What is known of one lock. */
export class LockPast {
  readonly threads = new Map<string, ThreadPast>();
  /** At which line an epoch was given. */
  readonly epochs = new Map<number, Given>();
  /** The line that gave the highest epoch so far. */
  owner: Given | undefined;
  /** Where that owner began to clear the bit. */
  ended: Numbered | undefined;
  /** Epochs whose owners have said that they go no further. */
  readonly resigned = new Set<number>();

  thread({by, thread}: Pick<Numbered, 'by' | 'thread'>): ThreadPast {
    const key = `${by} ${thread}`;
    const known = this.threads.get(key) ?? new ThreadPast();
    this.threads.set(key, known);
    return known;
  }

  add(line: Numbered): void {
    if (isAbout(line, 'acquired', 'handed-over')) {
      this.epochs.set(line.epoch, line);
      if (line.epoch > (this.owner?.epoch ?? 0)) [this.owner, this.ended] = [line, undefined];
    }
    if (isAbout(line, 'releasing', 'clearing') && line.epoch === this.owner?.epoch) this.ended = line;
    if (isAbout(line, 'resigning')) this.resigned.add(line.epoch);
    // Shares that were taken away are nobody's any more.
    if (isAbout(line, 'hold-acknowledged') && line.evicted > 0)
      for (const {inside} of this.threads.values()) inside.length = 0;
    this.thread(line).add(line, this.owner);
  }
}
