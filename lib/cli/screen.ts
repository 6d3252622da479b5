/** How is something shown in place on a terminal? Drawn over what stood there; the terminal is given back as it was. */
import {printable} from './output.js';

const ESCAPE = '\u001b[';
const HOME = `${ESCAPE}H`;
const ERASE_LINE = `${ESCAPE}K`;
const ERASE_REST = `${ESCAPE}J`;
/** Empty, without cursor, and without a new line for what is wider than the terminal. */
const TAKE = `${ESCAPE}?25l${ESCAPE}?7l${ESCAPE}2J`;
const GIVE_BACK = `${ESCAPE}?7h${ESCAPE}?25h`;
/** Rows of a terminal that does not say how many it has. */
const USUAL_ROWS = 24;

/** The terminal on stdout, from the first drawing on until it is disposed. */
export class Screen implements Disposable {
  #taken = false;

  /** As many of the lines as there is room for, from the first on. */
  draw(lines: readonly string[]): void {
    const room = (process.stdout.rows || USUAL_ROWS) - 1;
    const shown =
      lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more lines`];
    const text = shown.map(line => `${printable(line)}${ERASE_LINE}\n`).join('');
    process.stdout.write(`${this.#taken ? '' : TAKE}${HOME}${text}${ERASE_REST}`);
    this.#taken = true;
  }

  [Symbol.dispose](): void {
    if (this.#taken) process.stdout.write(GIVE_BACK);
    this.#taken = false;
  }
}
