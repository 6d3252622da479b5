/** What do several TAP streams say together? One report with one numbering, passed on as it comes. */

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What a reader of a failed result needs, by name. Text of several lines is shown as such. */
export type Details = Readonly<Record<string, string>>;

const RESULT = /^(ok|not ok) \d+ - (.*?)(?: # (SKIP|TODO)\b(.*))?$/;
const PLAN = /^\d+\.\.\d+/;
/** What ava adds around the results; the report has its own. */
const FRAME = /^(TAP version \d+|# (tests|pass|skip|fail) \d+|)$/;

/** JSON strings are YAML strings as well. */
function toYaml(details: Details): string[] {
  const lines = Object.entries(details).flatMap(([name, text]) =>
    text.includes('\n')
      ? [`    ${name}: |-`, ...text.split('\n').map(line => `      ${line}`)]
      : [`    ${name}: ${JSON.stringify(text)}`],
  );
  return ['  ---', ...lines, '  ...'];
}

/** Numbers and counts the results of all streams. */
export class TapReport {
  readonly #write: (line: string) => void;
  readonly #counts = {passed: 0, failed: 0, skipped: 0};
  #last = 0;

  constructor(write: (line: string) => void = line => process.stdout.write(`${line}\n`)) {
    this.#write = write;
    write('TAP version 13');
  }

  get counts(): Counts {
    return {...this.#counts};
  }

  pass(title: string): void {
    this.#result('ok', title, 'passed');
  }

  fail(title: string, details: Details): void {
    this.#result('not ok', title, 'failed');
    for (const line of toYaml(details)) this.#write(line);
  }

  skip(title: string, reason: string): void {
    this.#result('ok', `${title} # SKIP ${reason}`, 'skipped');
  }

  /** Takes one line of another stream, whose titles get a prefix. */
  passOn(line: string, prefix: string): void {
    const [, status, title, directive, reason = ''] = RESULT.exec(line) ?? [];
    if (status === undefined) return this.#write(line);
    const outcome = directive === undefined ? '' : ` # ${directive}${reason}`;
    this.#result(status, `${prefix}${title}${outcome}`, kindOf(status, directive));
  }

  /** Ends the report; the last line has the counts alone. Gives the exit status: in CI a skipped test is a failure. */
  end(inCi = isCi(process.env['CI'])): number {
    const {passed, failed, skipped} = this.#counts;
    this.#write(`1..${this.#last}`);
    this.#write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    return failed > 0 || passed === 0 || (inCi && skipped > 0) ? 1 : 0;
  }

  #result(status: string, title: string, kind: keyof Counts): void {
    this.#counts[kind]++;
    this.#write(`${status} ${++this.#last} - ${title}`);
  }
}

function isCi(variable: string | undefined): boolean {
  return variable !== undefined && variable !== 'false';
}

/** A test that failed may have "# SKIP" in its title; one that is still to do fails by definition. */
function kindOf(status: string, directive: string | undefined): keyof Counts {
  if (directive === 'TODO' || (directive === 'SKIP' && status === 'ok')) return 'skipped';
  return status === 'ok' ? 'passed' : 'failed';
}

/** One stream on its way into a report. */
export class TapRelay {
  readonly #report: TapReport;
  readonly #prefix: string;
  readonly #failedBefore: number;
  #complete = false;

  constructor(report: TapReport, prefix = '') {
    this.#report = report;
    this.#prefix = prefix;
    this.#failedBefore = report.counts.failed;
  }

  /** False as long as the stream may have been cut off: the plan is the last thing that ava writes. */
  get complete(): boolean {
    return this.#complete;
  }

  get failed(): boolean {
    return this.#report.counts.failed > this.#failedBefore;
  }

  push(line: string): void {
    if (PLAN.test(line)) this.#complete = true;
    else if (!FRAME.test(line)) this.#report.passOn(line, this.#prefix);
  }
}
