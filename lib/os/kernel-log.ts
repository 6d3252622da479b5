/** What did the kernel log about a process? Silent where the log can't be read. */
import {closeSync, constants, fstatSync, openSync, readSync} from 'node:fs';
import {setImmediate} from 'node:timers/promises';
import {Coalesced} from './coalesced.js';
import {readText} from './read-text.js';
import {hasCode} from './system-error.js';
import {isFirstPidNamespace, isFirstTimeNamespace, type System} from './system.js';

/** What a line reports: killed for want of memory, ended by a fault, or stuck in the kernel. */
export type ReportKind = 'memory' | 'fault' | 'hung';

/** A line of the kernel that names a process. */
export interface KernelReport {
  readonly kind: ReportKind;
  readonly text: string;
  /** When, milliseconds since 1970; two times apart when the machine was suspended some time since it booted. */
  readonly earliest: number;
  readonly latest: number;
}

/** A process's name, 15 bytes that it chooses itself; the log shows a byte that is not printable as \xNN. */
const NAME = String.raw`(?:\\x[0-9a-f]{2}|[^\\]){0,15}`;

/**
 * How the lines begin. What a process can choose, its name and further on that of its program's file, can't pass for
 * another process: the name is too short for an imitation after which the real words would still match, and the
 * rest is too far behind. Sources: mm/oom_kill.c __oom_kill_process(), arch/x86/mm/fault.c show_signal_msg(),
 * arch/x86/kernel/traps.c, arch/arm64/kernel/traps.c arm64_show_signal(), kernel/hung_task.c. All but the first name
 * threads: of a process with several, only what its first thread met is found.
 */
const LINES: readonly {kind: ReportKind; pattern: RegExp}[] = [
  {
    kind: 'memory',
    pattern:
      /^(?:Out of memory(?: \(oom_kill_allocating_task\))?|Memory cgroup out of memory): Killed process (\d+) \(/,
  },
  {kind: 'fault', pattern: new RegExp(String.raw`^${NAME}\[(\d+)\]: segfault at [0-9a-f]+ ip `)},
  {
    kind: 'fault',
    pattern: new RegExp(String.raw`^(?:traps: )?${NAME}\[(\d+)\] (?:general protection|trap )[a-z0-9 ]*ip:`),
  },
  {kind: 'fault', pattern: new RegExp(String.raw`^${NAME}\[(\d+)\]: unhandled exception: `)},
  {
    kind: 'hung',
    pattern: new RegExp(
      String.raw`^INFO: task ${NAME}:(\d+) blocked(?: in I/O wait)? for more than \d+ seconds`,
    ),
  },
];

/** A record: facility and level, number, microseconds since boot, flags; text (Documentation/ABI/testing/dev-kmsg). */
const RECORD = /^(\d+),\d+,(\d+),[^;]*;(.*)$/;

/** A record of the kernel's own: everybody may write to the log, but it gives facility 0 to nobody else. */
function ownRecord(line: string): {text: string; microseconds: number} | undefined {
  const [, prefix, microseconds, text] = RECORD.exec(line) ?? [];
  if (text === undefined || Number(prefix) >> 3 !== 0) return undefined;
  return {text, microseconds: Number(microseconds)};
}

/** What one line says of a pid. */
export function parseReport(
  line: string,
  pid: number,
): {kind: ReportKind; text: string; microseconds: number} | undefined {
  const record = ownRecord(line);
  const found = record && LINES.find(({pattern}) => pattern.exec(record.text)?.[1] === String(pid));
  return found && {kind: found.kind, ...record};
}

/** Does it say something of any process? */
function isTelling(line: string): boolean {
  const record = ownRecord(line);
  return record !== undefined && LINES.some(({pattern}) => pattern.test(record.text));
}

/**
 * The log's clock stops while the machine is suspended and is set by nobody, as CLOCK_MONOTONIC, from which it differs
 * by milliseconds. How long the machine was suspended is known (/proc/uptime counts that too), but not when.
 */
function readClocks(system: System): {start: number; suspended: number} {
  const monotonic = Number(process.hrtime.bigint() / 1000n) / 1000;
  const uptime = Number(readText(`${system.procRoot}/uptime`).split(' ')[0]) * 1000;
  const suspended = uptime - monotonic;
  // Two clocks, read one after the other.
  return {start: system.now() - monotonic, suspended: suspended < 1000 ? 0 : suspended};
}

/** Records that are read in one go, before others have their turn. */
const PORTION = 256;

/** One read of /dev/kmsg gives one record, of 8 KiB at most; of a file, as much as fits. */
const RECORD_SIZE = 16_384;

/** So many telling lines are kept; the kernel forgets the oldest, too. */
const KEPT = 4096;

/** One read, nothing at the end. EPIPE: records were overwritten before we came to them (dev-kmsg). */
function readOnce(fd: number, buffer: Buffer): Buffer {
  for (;;) {
    try {
      return buffer.subarray(0, readSync(fd, buffer));
    } catch (error) {
      if (!hasCode(error, 'EPIPE', 'EINTR')) return buffer.subarray(0, 0);
    }
  }
}

/**
 * The lines of a log that tell of some process. /dev/kmsg stays open, and each look reads what came since the last: it gives one record a read, so
 * that reading all of it takes milliseconds. A file is read anew each time, for it may be another one by now.
 */
class TellingLines {
  readonly #path: string;
  /** Many who ask at once, for many locks of owners that are gone, share a read. */
  readonly #looks = new Coalesced(() => this.#look());
  #open: number | undefined;
  #lines: string[] = [];
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  read(): Promise<readonly string[]> {
    return this.#looks.run();
  }

  async #look(): Promise<readonly string[]> {
    this.#open ??= openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const lines = await this.#readOn(this.#open);
    if (!fstatSync(this.#open).isCharacterDevice()) this.#begin();
    return lines;
  }

  /** Reads without waiting, in portions, so that the event loop goes on. */
  async #readOn(fd: number): Promise<readonly string[]> {
    const buffer = Buffer.allocUnsafe(RECORD_SIZE);
    for (let count = 1; ; count++) {
      const read = readOnce(fd, buffer);
      if (read.length === 0) break;
      this.#take(read.toString('latin1'));
      if (count % PORTION === 0) await setImmediate();
    }
    // The last line of a file may have no end; a record has one.
    return isTelling(this.#rest) ? [...this.#lines, this.#rest] : this.#lines;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    const telling = lines.filter(isTelling);
    if (telling.length > 0) this.#lines = [...this.#lines, ...telling].slice(-KEPT);
  }

  /** The next look is at the whole of it. */
  #begin(): void {
    if (this.#open !== undefined) closeSync(this.#open);
    this.#open = undefined;
    this.#lines = [];
    this.#rest = '';
  }
}

const logs = new Map<string, TellingLines>();

function tellingLines(path: string): Promise<readonly string[]> {
  const log = logs.get(path) ?? new TellingLines(path);
  logs.set(path, log);
  return log.read();
}

/**
 * What the kernel logged about a pid since a time (milliseconds since 1970), in the order of the log; what may be older
 * is left out, for the pid may have been another process's then. None where the log can't be read: no such file, no right to (kernel.dmesg_restrict), another pid or time namespace.
 */
export async function readKernelReports(system: System, pid: number, since: number): Promise<KernelReport[]> {
  // Its pids are those of the first pid namespace; and a time namespace shifts the clocks that it is compared with.
  if (!isFirstPidNamespace(system) || !isFirstTimeNamespace(system)) return [];
  try {
    const lines = await tellingLines(system.kernelLog);
    const found = lines.flatMap(line => parseReport(line, pid) ?? []);
    if (found.length === 0) return [];
    const {start, suspended} = readClocks(system);
    const now = system.now();
    const reports = found.map(({kind, text, microseconds}) => {
      const latest = Math.min(start + microseconds / 1000, now);
      return {kind, text, earliest: latest - suspended, latest};
    });
    return reports.filter(({earliest}) => earliest >= since);
  } catch {
    return [];
  }
}
