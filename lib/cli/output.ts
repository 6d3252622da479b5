/** How do results and messages reach people and scripts? Results on stdout, everything else on stderr, colour only on a terminal. */
import {toJson} from '../recovery/report.js';
import {styleText} from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours a text where the stream is a terminal and NO_COLOR is unset (no-color.org). */
export function paint(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return stream.isTTY && !process.env['NO_COLOR'] ? styleText(style, text) : text;
}

const ESCAPE = '\u001b';
const CONTROL = new RegExp(`(?!\\n|${ESCAPE}\\[[\\d;]*m)\\p{Cc}`, 'gu');

/** Whoever names a file or a purpose does not command the terminal: control characters are shown, not sent. Colours pass. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** A text that may hold the name of a file, on one line: a name may hold a newline. */
export function oneLine(text: string): string {
  return text.replaceAll('\n', '\\x0a');
}

const ERASE_LINE = `\r${ESCAPE}[K`;
let statusShown = false;

/** Shows what is going on in the last line of the terminal, in the place of what stood there. */
export function showStatus(text: string): void {
  const {stderr} = process;
  stderr.write(`${ERASE_LINE}${paint(stderr, 'dim', printable(text).slice(0, stderr.columns - 1))}`);
  statusShown = true;
}

export function clearStatus(): void {
  if (statusShown) process.stderr.write(ERASE_LINE);
  statusShown = false;
}

/** One result, on stdout. */
export function print(text: string): void {
  clearStatus();
  process.stdout.write(`${printable(text)}\n`);
}

/** One message, on stderr. */
export function note(text: string): void {
  clearStatus();
  process.stderr.write(`${printable(text)}\n`);
}

/** A remark beside the result, on stderr; a line of JSON where errors are. */
export function remark(text: string, json: boolean | undefined): void {
  note(json ? toJson({note: text}) : `locksmith: ${text}`);
}

export function printJson(value: unknown): void {
  print(toJson(value));
}

/** Lines of aligned columns; the last one is as long as it likes. */
export function align(rows: readonly (readonly string[])[], gap = '  '): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map(row =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join(gap),
  );
}

/** A reader that has seen enough closes the pipe: no error, and no reason to drop work that is under way. */
export function ignoreBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}
