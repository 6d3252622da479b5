/** What on the kernel's console means that a run went wrong? */

/** A message of the kernel begins with its time, maybe after text that a program left without a newline. */
const MESSAGE = /\[ *\d+\.\d{6}\].*$/;

/** How the kernel says that it, and so most likely our module, did something wrong. */
const SIGNS = [
  /\bBUG\b|\bWARNING\b|\bOops\b|Kernel panic|general protection|unable to handle/,
  // The checkers of memory: on debug kernels, but KFENCE on all.
  /KASAN|KFENCE|KCSAN|UBSAN/,
  // Locks (lockdep), RCU, tasks and processors that do not get on.
  /possible (circular|recursive|irq)|inconsistent lock|suspicious RCU|INFO: (task|rcu|trying to register)/,
  /detected stalls?|soft lockup|hard LOCKUP|blocked for more than|sleeping function|scheduling while atomic/,
  // Counters, lists and objects of the kernel's library.
  /refcount_t|ODEBUG|list_(add|del)|corruption|Objects remaining|Poison|Redzone|still in use/i,
  // sysfs and kobjects.
  /duplicate filename|kobject_add_internal failed|tried to (init|add)|does not have a release\(\) function/,
  /Call Trace/,
];

/** O: a module from outside, E: a module without a signature. Ours is both. */
const EXPECTED_TAINT = (1 << 12) | (1 << 13);

/** Letters by bit (Documentation/admin-guide/tainted-kernels.rst). */
const TAINT_LETTERS = 'PFSRMBUDAWCIOELKXTNJ';

/** Colours, bells and carriage returns have no place in a report. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\u001B\[[\d;?]*[A-Za-z]|[^\P{Cc}\n\t]/gu, '');
}

/** The last lines of the console. */
export function tailOf(console: string, count: number): string {
  return plain(console).trimEnd().split('\n').slice(-count).join('\n');
}

/** The console from the first line on that is looked for, at most so many lines; undefined when there is none. */
function linesFrom(console: string, isFirst: (line: string) => boolean, count: number): string | undefined {
  const lines = plain(console).split('\n');
  const first = lines.findIndex(isFirst);
  if (first < 0) return undefined;
  return lines
    .slice(first, first + count)
    .join('\n')
    .trimEnd();
}

function isTrouble(line: string): boolean {
  const message = MESSAGE.exec(line)?.[0];
  return message !== undefined && SIGNS.some(sign => sign.test(message));
}

/** The console from the first message on that tells of something wrong. */
export function firstTrouble(console: string, count: number): string | undefined {
  return linesFrom(console, isTrouble, count);
}

/** What kmemleak has to say, which init copies to the console. */
export function firstLeaks(console: string, count: number): string | undefined {
  return linesFrom(console, line => line.startsWith('unreferenced object'), count);
}

export interface Panic {
  readonly reason: string;
  /** The console up to the line that tells it. */
  readonly before: string;
}

export function findPanic(console: string): Panic | undefined {
  const lines = plain(console).split('\n');
  const reasons = lines.map(line => /Kernel panic - not syncing: (.*)/.exec(line)?.[1]);
  const first = reasons.findIndex(reason => reason !== undefined);
  return first < 0 ? undefined : {reason: reasons[first] ?? '', before: lines.slice(0, first).join('\n')};
}

/** The taints that our module does not explain: "W" after a warning. */
export function unexpectedTaint(taint: number): string {
  const unexpected = taint & ~EXPECTED_TAINT;
  return Array.from(TAINT_LETTERS)
    .filter((_, bit) => unexpected & (1 << bit))
    .join('');
}
