/** What came out of a run in the machine? Its lines become results as they come, its end is judged when it is over. */
import {findPanic, firstLeaks, firstTrouble, tailOf, unexpectedTaint} from './kernel-log.js';
import type {Exit} from './qemu.js';
import {type Details, TapRelay, type TapReport} from './tap.js';

/** Before the titles of all that happens in the machine. */
export const PREFIX = 'vm › ';

const TAIL_LINES = 80;
const TROUBLE_LINES = 60;

/** What is left behind when QEMU has ended. */
export interface Remains {
  readonly exit: Exit;
  /** All that came on the console. */
  readonly console: string;
  /** Where a reader finds it. */
  readonly consolePath: string;
}

export class Outcome {
  readonly #report: TapReport;
  /** Of the ava that runs. */
  #relay: TapRelay;
  /** Of those that have ended: what was wrong with them, undefined where nothing was. */
  readonly #runs: (string | undefined)[] = [];
  /** What init told: value by name. */
  readonly #told = new Map<string, string>();

  constructor(report: TapReport) {
    this.#report = report;
    this.#relay = new TapRelay(report, PREFIX);
  }

  /** Whether init has begun. */
  get booted(): boolean {
    return this.#told.has('boot');
  }

  /** Takes a line of the machine's second serial port. Undefined for TAP, else the name of what init tells. */
  take(line: string): string | undefined {
    const [, name, value = ''] = /^@(\w+) ?(.*)$/.exec(line) ?? [];
    if (name === undefined) this.#relay.push(line);
    else this.#told.set(name, value);
    if (name === 'ava') this.#endRun(value);
    return name;
  }

  #endRun(status: string): void {
    const {complete, failed} = this.#relay;
    if (!complete)
      this.#runs.push('the results break off: ava crashed (it does so when a test takes too long)');
    else this.#runs.push(status !== '0' && !failed ? 'ava failed, but no test did' : undefined);
    this.#relay = new TapRelay(this.#report, PREFIX);
  }

  /** Reports what the machine as a whole did. */
  judge({exit, console, consolePath}: Remains): void {
    const log = `whole console: ${consolePath}`;
    const panic = findPanic(console);
    const broken = panic === undefined ? this.#broken(exit) : `the kernel panicked: ${panic.reason}`;
    this.#result('the machine runs to its end', broken, {console: tailOf(console, TAIL_LINES), log});
    const trouble = firstTrouble(panic?.before ?? console, TROUBLE_LINES);
    // A panic that nothing announced is no second failure.
    if (panic === undefined || trouble !== undefined) this.#log(trouble, log);
    this.#unload(log);
    this.#taint(log);
    this.#leaks(console, log);
  }

  #log(trouble: string | undefined, log: string): void {
    const message = trouble === undefined ? undefined : 'the kernel complained';
    this.#result('the kernel log has no warning', message, {console: trouble ?? '', log});
  }

  #unload(log: string): void {
    const unload = this.#told.get('unload');
    if (unload === undefined) return;
    this.#result('the module unloads when all is done', unload === 'ok' ? undefined : unload, {
      hint: 'a bit that is still held keeps the module: does a test leave one behind?',
      log,
    });
  }

  #taint(log: string): void {
    const taint = this.#told.get('taint');
    if (taint === undefined) return;
    const letters = unexpectedTaint(Number(taint));
    const message = `taint ${letters}, see tainted-kernels.rst of the kernel`;
    this.#result('the kernel is not tainted', letters === '' ? undefined : message, {log});
  }

  /** Told by debug kernels only. */
  #leaks(console: string, log: string): void {
    const count = this.#told.get('leaks');
    if (count === undefined) return;
    const message = count === '0' ? undefined : `objects that nothing points to any more: ${count}`;
    this.#result('no memory is lost', message, {console: firstLeaks(console, TROUBLE_LINES) ?? '', log});
  }

  #result(title: string, problem: string | undefined, details: Details): void {
    if (problem === undefined) this.#report.pass(PREFIX + title);
    else this.#report.fail(PREFIX + title, {message: problem, ...details});
  }

  /** Why the results may not be all there are; undefined when they are. */
  #broken({status, overdue, complaints}: Exit): string | undefined {
    if (overdue) return 'the machine hung: nothing ended it before the time was up';
    const problem = this.#told.get('problem');
    if (problem !== undefined) return problem;
    if (!this.#told.has('boot'))
      return `the machine did not start: ${complaints || `QEMU ended with ${status}`}`;
    if (!this.#told.has('end'))
      return `the machine ended early: ${complaints || `QEMU ended with ${status}`}`;
    return this.#runs.length === 0 ? 'no test was run' : this.#runs.find(run => run !== undefined);
  }
}
