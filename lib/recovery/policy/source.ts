/** What does a text in YAML say, and where does it say it? Everything that is wrong with it is found at once, each with its line and key. */
import {type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument} from 'yaml';
import type {SchemaProblem} from './fields.js';
import {type Place, placeText, type Problem} from './place.js';

export type Path = readonly (string | number)[];

/** `locks.aim_lock_config.quiesce[0].how` */
function keyText(path: Path): string {
  return path
    .map((to, index) => (typeof to === 'number' ? `[${to}]` : `${index > 0 ? '.' : ''}${to}`))
    .join('');
}

/** What the document has at a place: its key, where it has one, and its value. */
interface Found {
  readonly to: string | number;
  readonly key: Node | undefined;
  readonly value: Node | undefined;
}

/** What the parser says in the words of programmers. */
const WORDS: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'a file holds one document: no line --- in the middle',
  BAD_SCALAR_START: 'what begins with @ or ` needs quotes: "@ops"',
};

/** A text as the parser sees it, and where in the text something stands. */
export class Source {
  readonly file: string;
  readonly lines = new LineCounter();
  readonly document: Document.Parsed;

  constructor(file: string, text: string) {
    this.file = file;
    const options = {lineCounter: this.lines, prettyErrors: false, uniqueKeys: false};
    this.document = parseDocument(text, options);
  }

  get root(): Found {
    return {to: '', key: undefined, value: this.document.contents ?? undefined};
  }

  placeAt(offset: number): Place {
    const {line, col} = this.lines.linePos(offset);
    return {file: this.file, line, column: col};
  }

  /** Where something is shown: a word or number itself, a block by its key. */
  place({key, value}: Found, atKey: boolean): Place {
    const shown = atKey || !isScalar(value) ? (key ?? value) : value;
    return this.placeAt(shown?.range?.[0] ?? 0);
  }

  /** What stands directly below, in its order. */
  children({value}: Found): Found[] {
    const node = isAlias(value) ? value.resolve(this.document) : value;
    if (isSeq<Node>(node)) return node.items.map((item, to) => ({to, key: undefined, value: item}));
    if (!isMap<Node, Node | null>(node)) return [];
    return node.items.map(pair => ({
      to: isScalar(pair.key) ? String(pair.key.value) : String(pair.key),
      key: pair.key,
      value: pair.value ?? undefined,
    }));
  }

  /** The keys around a place in the text, as far as they could be read. */
  pathAt(offset: number): Path {
    const path: (string | number)[] = [];
    const begins = ({key, value}: Found) =>
      ((key ?? value)?.range?.[0] ?? Number.POSITIVE_INFINITY) <= offset;
    for (
      let found = this.children(this.root).findLast(begins);
      found;
      found = this.children(found).findLast(begins)
    )
      path.push(found.to);
    return path;
  }

  /** What stands at a path; where that is missing, the nearest thing around it. */
  find(path: Path): {readonly found: Found; readonly missing: boolean} {
    let found = this.root;
    for (const to of path) {
      const next = this.children(found).findLast(child => child.to === to);
      if (!next) return {found, missing: true};
      found = next;
    }
    return {found, missing: false};
  }
}

function syntaxProblems(source: Source): Problem[] {
  const {errors, warnings} = source.document;
  return [...errors, ...warnings].map(({code, message, pos: [start]}) => ({
    ...source.placeAt(start),
    key: keyText(source.pathAt(start)) || null,
    what: WORDS[code] ?? message,
  }));
}

/** Keys that are there twice: only one of them would count. */
function repetitions(source: Source, found: Found, path: Path): Problem[] {
  const seen = new Map<string | number, Found>();
  return source.children(found).flatMap(child => {
    const here = [...path, child.to];
    const first = seen.get(child.to);
    if (!first) seen.set(child.to, child);
    const again = first && {
      ...source.place(child, true),
      key: keyText(here),
      what: `is there twice, first at ${placeText(source.place(first, true))}`,
    };
    return [...(again ? [again] : []), ...(isAlias(child.value) ? [] : repetitions(source, child, here))];
  });
}

function toProblem(source: Source, {path, what, atKey}: SchemaProblem): Problem {
  const {found, missing} = source.find(path);
  return {
    ...source.place(found, atKey || missing),
    key: keyText(path) || null,
    what: missing ? `is missing: ${what}` : what,
  };
}

/** The value of the document. A text problem instead: aliases may be nested so that they come to more than memory can hold. */
function valueOf({document}: Source): {readonly value: unknown} | string {
  try {
    return {value: document.toJS()};
  } catch (error) {
    return (error as Error).message;
  }
}

/** A text that could be read, and what it says; where its syntax is broken, only that is told: there is no telling what was meant. */
export type Read =
  | {readonly source: Source; readonly value: unknown}
  | {readonly problems: readonly Problem[]};

export function readSource(file: string, text: string): Read {
  const source = new Source(file, text);
  const broken = syntaxProblems(source);
  if (broken.length > 0) return {problems: inOrder(broken)};
  const read = valueOf(source);
  if (typeof read === 'string') return {problems: [{...source.placeAt(0), key: null, what: read}]};
  return {source, value: read.value};
}

/** What is wrong with what a text says, in the order of its lines. */
export function problemsIn(source: Source, problems: readonly SchemaProblem[]): Problem[] {
  return inOrder([
    ...repetitions(source, source.root, []),
    ...problems.map(problem => toProblem(source, problem)),
  ]);
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}
