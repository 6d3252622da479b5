/** What must hold of every history? One rule a function: asked at each line, with all that stands above it. */
import type {Numbered} from './line.js';
import {isAbout, type LockPast} from './past.js';

/** What a rule says against a line. */
export interface Objection {
  readonly why: string;
  /** The lines that it follows from, this one left out. */
  readonly from: readonly Numbered[];
  /** Only if that process, or that one thread of it, writes another line: for then it lived all the time. */
  readonly unless?: {readonly dead: string; readonly thread?: number};
}

/** `owners`: which process has an identity, by what the processes said of themselves. */
export type Rule = (
  line: Numbered,
  past: LockPast,
  owners: ReadonlyMap<string, string>,
) => readonly Objection[];

const NONE: readonly Objection[] = [];

const object = (why: string, ...from: readonly (Numbered | undefined)[]): readonly Objection[] => [
  {why, from: from.filter(line => line !== undefined)},
];

/** When a hold ends by itself, at the earliest. */
const deadline = ({clock, remaining}: Numbered<'hold-acknowledged'>) => clock + remaining * 1e6;

/** An epoch is given once, to one owner, and is higher than any that was given before it was asked for. */
const epochsGrow: Rule = (line, past) => {
  if (!isAbout(line, 'acquired', 'handed-over')) return NONE;
  const same = past.epochs.get(line.epoch);
  if (same) return object('the epoch was given twice', same);
  const asked = line.event === 'acquired' ? 'acquiring' : 'handing-over';
  const before = past.thread(line).ownerAt(asked);
  return before && line.epoch <= before.epoch ? object('the epoch did not grow', before) : NONE;
};

/** Nobody acquires what has an owner: the bit stays set until he begins to clear it, dead or alive. */
const oneOwner: Rule = (line, {owner, ended}) => {
  if (!isAbout(line, 'acquired') || !owner || ended || line.epoch <= owner.epoch) return NONE;
  return object('it was acquired while it had an owner', owner);
};

/** Nobody sees the bit clear who began to look when it had an owner, and was done before the owner began to clear it. */
const bitStaysSet: Rule = (line, past) => {
  if (!isAbout(line, 'verdict') || line.bit !== 0) return NONE;
  const then = past.thread(line).ownerAt('examining');
  return then && then === past.owner && !past.ended
    ? object('the bit was clear while the lock had an owner', then)
    : NONE;
};

/** No rename below the current epoch; and what was rolled back never appears. */
const commitInForce: Rule = (line, past) => {
  if (!isAbout(line, 'committed')) return NONE;
  const thread = past.thread(line);
  const then = thread.ownerAt('committing');
  if (then && then.epoch > line.epoch) return object('it was committed below the current epoch', then);
  const begun = thread.last('committing');
  const rolledBack = [...past.threads.values()]
    .map(each => each.since('cleaned', begun))
    .find(cleaned => cleaned && cleaned.epoch > line.epoch && cleaned.outcome === 'rolled-back');
  return rolledBack ? object('it was committed, and was called rolled back', begun, rolledBack) : NONE;
};

/** Only the owner clears the bit. */
const releasedByOwner: Rule = (line, past) => {
  if (!isAbout(line, 'released', 'cleared')) return NONE;
  const then = past.thread(line).ownerAt(line.event === 'released' ? 'releasing' : 'clearing');
  return then && then.epoch > line.epoch ? object('it was cleared below the current epoch', then) : NONE;
};

/** Who is called dead writes nothing any more; unless he has resigned. */
const deadForEver: Rule = (line, past, owners) => {
  if (!isAbout(line, 'verdict') || line.state !== 'DEAD' || line.identity === null) return NONE;
  const dead = owners.get(line.identity);
  if (dead === undefined || past.resigned.has(line.epoch ?? 0)) return NONE;
  return [{why: 'the owner was called dead, and lives', from: [], unless: {dead}}];
};

/** Nothing is taken without force from an owner that lives. */
const takenFromTheDead: Rule = (line, past) => {
  if (!isAbout(line, 'handing-over') || line.forced || past.resigned.has(line.from)) return NONE;
  const given = past.epochs.get(line.from);
  return given
    ? [{why: 'it was taken without force, and its owner lives', from: [given], unless: {dead: given.by}}]
    : NONE;
};

/** Only a verdict DEAD releases; force needs a look too, and something to break. */
const verdictAllows: Rule = (line, past) => {
  if (!isAbout(line, 'handing-over')) return NONE;
  const said = past.thread(line).verdicts.get(line.from) ?? new Set();
  const allows = line.forced ? [...said].some(state => state !== 'FREE') : said.has('DEAD');
  return allows ? NONE : object('no verdict allowed to take it', past.thread(line).last('verdict'));
};

/** The intent is on the disk before anything changes. */
const auditFirst: Rule = (line, past) => {
  if (!isAbout(line, 'handing-over')) return NONE;
  const thread = past.thread(line);
  const intent = thread.since('intent', thread.last('handing-over'));
  const fits = intent?.epoch === line.from && intent.forced === line.forced;
  return fits ? NONE : object('nothing in the audit said so before', intent);
};

/** What a recovery changes, it begins to change within its hold. */
const insideHold: Rule = (line, past) => {
  if (!isAbout(line, 'handed-over', 'cleared')) return NONE;
  const thread = past.thread(line);
  const begun = thread.last(line.event === 'cleared' ? 'clearing' : 'handing-over');
  const hold = thread.hold();
  if (hold && begun && begun.number > hold.number && begun.clock <= deadline(hold)) return NONE;
  return object('no hold was in force', hold, begun);
};

/** Nobody enters while a hold is in force. */
const holdExcludes: Rule = (line, past) => {
  if (!isAbout(line, 'entered')) return NONE;
  const begun = past.thread(line).last('entering');
  return [...past.threads.values()].flatMap(thread => {
    const hold = thread.hold();
    if (!hold || !begun || begun.number < hold.number || line.clock >= deadline(hold)) return [];
    return [
      {why: 'it was entered during a hold', from: [hold], unless: {dead: hold.by, thread: hold.thread}},
    ];
  });
};

/** A hold is acknowledged when nobody is inside who was there when it was asked for. */
const holdWaits: Rule = (line, past) => {
  if (!isAbout(line, 'hold-acknowledged') || line.evicted > 0) return NONE;
  const asked = past.thread(line).last('hold-asked')?.number ?? 0;
  return [...past.threads.values()].flatMap(({inside}) =>
    inside
      .filter(({number}) => number < asked)
      .map(entered => ({
        why: 'a hold was granted while somebody was inside',
        from: [entered],
        unless: {dead: entered.by, thread: entered.thread},
      })),
  );
};

/** Clean before clear, and clear before ALL CLEAR. */
const cleanFirst: Rule = (line, past) => {
  if (!isAbout(line, 'clearing', 'all-clear')) return NONE;
  const thread = past.thread(line);
  const needed = (
    ['handed-over', 'cleaned', ...(line.event === 'all-clear' ? (['cleared'] as const) : [])] as const
  ).map(event => thread.last(event));
  const inOrder = needed.every(
    (each, index) => each?.epoch === line.epoch && each.number > (needed[index - 1]?.number ?? 0),
  );
  return inOrder ? NONE : object('it was not handed over, cleaned and cleared before', ...needed);
};

/** By their names. */
export const RULES: Readonly<Record<string, Rule>> = {
  epochsGrow,
  oneOwner,
  bitStaysSet,
  commitInForce,
  releasedByOwner,
  deadForEver,
  takenFromTheDead,
  verdictAllows,
  auditFirst,
  insideHold,
  holdExcludes,
  holdWaits,
  cleanFirst,
};
