/** Which columns does a table have, and how is it shown? One record of columns, from which header, rows, `-o`, help and errors come. */
import {LockError} from '../errors.js';
import {align, oneLine, paint} from './output.js';

/** Each column by its name, in the order in which they are shown. */
export type Columns<Row> = Readonly<Record<string, (row: Row) => string>>;

/** `-o NAME,STATE`: upper case, without blanks. Which names there are depends on the table. */
export function parseColumns(text: string): string[] {
  return text.toUpperCase().split(',');
}

/** The names that were asked for, else the usual ones. Throws ERR_ARGUMENT for a name that no column has. */
export function chooseColumns<Row>(
  columns: Columns<Row>,
  usual: readonly string[],
  wanted: readonly string[] | undefined,
): readonly string[] {
  const unknown = wanted?.find(name => !Object.hasOwn(columns, name));
  if (unknown !== undefined)
    throw new LockError(
      'ERR_ARGUMENT',
      `${unknown} is no column; there are ${Object.keys(columns).join(', ')}`,
    );
  return wanted ?? usual;
}

/** Header and rows as aligned lines; `style` colours a row on a terminal. */
export function tableLines<Row>(
  columns: Columns<Row>,
  names: readonly string[],
  rows: readonly Row[],
  style: (row: Row) => Parameters<typeof paint>[1] | undefined,
): string[] {
  const cells = rows.map(row => names.map(name => oneLine(columns[name]?.(row) ?? '')));
  const [header = '', ...lines] = align([names, ...cells]);
  const painted = lines.map((line, index) => {
    const colour = rows[index] && style(rows[index]);
    return colour === undefined ? line : paint(process.stdout, colour, line);
  });
  return [paint(process.stdout, 'bold', header), ...painted];
}
