import test, {type ExecutionContext} from 'ava';
import type {Figure} from '../../../bench/measure/figure.js';
import {plot} from '../../../bench/report/svg.js';

function figureOf(rows: Readonly<Record<string, readonly number[]>>, more: Partial<Figure> = {}): Figure {
  return {
    case: 'a',
    title: 'take and give back',
    unit: 'ns',
    yardstick: 'C',
    rows: new Map(Object.entries(rows)),
    absent: new Map(),
    ...more,
  };
}

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

const TOKEN =
  /<(\/?)([a-z]+)((?: [a-zA-Z][\w-]*="[^"<&]*(?:&[a-z]+;[^"<&]*)*")*)(\/?)>|([^<&]+|&(?:amp|lt|gt|quot);)/gy;

/** Reads an SVG; fails where it is not well-formed. */
function parse(t: ExecutionContext, svg: string): Element[] {
  const elements: Element[] = [];
  const open: Element[] = [];
  let end = 0;
  for (const [token, closing, name = '', list = '', empty, text] of svg.matchAll(TOKEN)) {
    end += token.length;
    if (text !== undefined) {
      const inner = open.at(-1);
      if (inner) inner.text += text;
    } else if (closing === '/') {
      t.is(open.pop()?.name, name, 'what is closed was opened last');
    } else {
      const pairs = [...list.matchAll(/([a-zA-Z][\w-]*)="([^"]*)"/g)].map(([, key = '', value = '']) => [
        key,
        value,
      ]);
      const element = {name, attributes: Object.fromEntries(pairs) as Record<string, string>, text: ''};
      t.is(Object.keys(element.attributes).length, pairs.length, 'no attribute comes twice');
      elements.push(element);
      if (empty === '') open.push(element);
    }
  }
  t.is(end, svg.length, `not well-formed: ${svg.slice(end, end + 40)}`);
  t.deepEqual(open, []);
  return elements;
}

const number = (element: Element | undefined, name: string) => Number(element?.attributes[name]);

function barsOf(elements: readonly Element[]): Element[] {
  return elements.filter(({name, attributes}) => name === 'rect' && /\bbar\b/.test(attributes.class ?? ''));
}

function whiskersOf(elements: readonly Element[]): Element[] {
  return elements.filter(({attributes}) => attributes.class === 'whisker');
}

test('a bar for each subject, the least on top', t => {
  const elements = parse(t, plot(figureOf({slow: [5e6], C: [1e3], 'locksmith, sync': [1.2e3]})));
  t.deepEqual(
    barsOf(elements).map(({attributes}) => attributes.class),
    ['bar yardstick', 'bar ours', 'bar'],
  );
  const tops = barsOf(elements).map(bar => number(bar, 'y'));
  t.deepEqual(
    tops,
    [...new Set(tops)].toSorted((a, b) => a - b),
  );
  const texts = new Set(elements.filter(({name}) => name === 'text').map(({text}) => text));
  for (const text of ['C', 'locksmith, sync', 'slow', '1 µs', '1.20 µs', '5 ms'])
    t.true(texts.has(text), text);
});

test('equal ratios are equal lengths', t => {
  const [one, ten, hundred] = barsOf(parse(t, plot(figureOf({a: [2e3], b: [2e4], c: [2e5]})))).map(bar =>
    number(bar, 'width'),
  );
  t.true((one ?? 0) > 0);
  t.true(Math.abs((ten ?? 0) - (one ?? 0) - ((hundred ?? 0) - (ten ?? 0))) < 0.3);
  t.true((ten ?? 0) - (one ?? 0) > 100);
});

test('a bar ends where the axis says so', t => {
  const elements = parse(t, plot(figureOf({C: [1e4], slow: [1e6]})));
  const [least, slow] = barsOf(elements);
  t.true(number(least, 'width') > 10, 'the least can be seen as well');
  const lines = elements.filter(({attributes}) => attributes.class === 'axis');
  const ends = lines.map(line => number(line, 'x1'));
  t.true(ends.some(x => Math.abs(x - number(slow, 'x') - number(slow, 'width')) < 0.2));
});

test('whiskers span the quartiles, and nothing spans none', t => {
  const elements = parse(t, plot(figureOf({C: [1e3, 1e3, 1e3], wide: [1e3, 1e4, 1e5, 1e4, 1e4]})));
  t.is(whiskersOf(elements).length, 0, 'the middle half is one value');
  const spread = parse(t, plot(figureOf({C: [1e3], wide: [1e3, 3e3, 1e4, 3e4, 1e5]})));
  const [line, low, high] = whiskersOf(spread);
  t.is(number(line, 'x1'), number(low, 'x1'));
  t.is(number(line, 'x2'), number(high, 'x1'));
  const [, wide] = barsOf(spread);
  const end = number(wide, 'x') + number(wide, 'width');
  t.true(number(low, 'x1') < end && end < number(high, 'x1'));
});

test('zero has no bar, also where there is nothing else', t => {
  const [none, some] = barsOf(parse(t, plot(figureOf({idle: [0, 0, 0], C: [5, 5, 5]}))));
  t.is(number(none, 'width'), 0);
  t.true(number(some, 'width') > 0);
  const nothing = barsOf(parse(t, plot(figureOf({idle: [0], C: [0]}, {unit: 'count'}))));
  t.deepEqual(
    nothing.map(bar => number(bar, 'width')),
    [0, 0],
  );
  t.notThrows(() => parse(t, plot(figureOf({}))));
});

/** Where a text is: its letters are all as wide as in the plots, and 12 pixels high. */
function boxOf({attributes, text}: Element): {left: number; right: number; top: number; bottom: number} {
  const letters = text.replaceAll(/&[a-z]+;/g, '?').length * 7.3;
  const x = Number(attributes.x);
  const left =
    {end: x - letters, middle: x - letters / 2, start: x}[attributes['text-anchor'] ?? 'start'] ?? x;
  return {left, right: left + letters, top: Number(attributes.y) - 10, bottom: Number(attributes.y) + 2};
}

const EXTREMES: Readonly<Record<string, Figure>> = {
  'many powers of ten': figureOf({C: [500], slow: [9e9], 'in between': [1e5]}),
  'one value': figureOf({C: [1000]}),
  'a spread to the end of the axis': figureOf(
    {C: [1e3], wide: [1e3, 1e6, 1e6, 9.9e9, 9.9e9]},
    {cutOff: ['wide']},
  ),
  'long names, and a long title': figureOf(
    {[`${'very '.repeat(12)}long`]: [1e3], C: [2e3]},
    {title: `${'long '.repeat(40)}title`, cutOff: ['C']},
  ),
  'many subjects': figureOf(
    Object.fromEntries(Array.from({length: 30}, (_, i) => [`subject ${i}`, [10 ** (i / 3 + 1)]])),
  ),
};

for (const [what, figure] of Object.entries(EXTREMES))
  test(`no text runs into another, or out of the picture: ${what}`, t => {
    const elements = parse(t, plot(figure));
    const [root] = elements;
    const boxes = elements.filter(({name}) => name === 'text').map(boxOf);
    for (const [index, box] of boxes.entries()) {
      t.true(box.left >= 0 && box.right <= number(root, 'width'), JSON.stringify(box));
      t.true(box.top >= 0 && box.bottom <= number(root, 'height'), JSON.stringify(box));
      for (const other of boxes.slice(index + 1)) {
        const apart =
          box.right <= other.left ||
          other.right <= box.left ||
          box.bottom <= other.top ||
          other.bottom <= box.top;
        t.true(apart, `${JSON.stringify(box)} ${JSON.stringify(other)}`);
      }
    }
  });

test('names can have any letters', t => {
  const elements = parse(t, plot(figureOf({'a < b & "c" > d': [1]}, {title: '<script>&'})));
  t.true(elements.some(({text}) => text === 'a &lt; b &amp; &quot;c&quot; &gt; d'));
  t.false(elements.some(({name}) => name === 'script'));
});

test('it can be read on light and on dark', t => {
  const svg = plot(figureOf({C: [1]}));
  t.regex(svg, /prefers-color-scheme: dark/);
  const grounds = parse(t, svg).filter(({attributes}) => attributes.class === 'ground');
  t.is(grounds.length, 1, 'it brings its own ground, since the page may be of the other kind');
});

test('whoever was cut off has "at least" beside its bar', t => {
  t.true(plot(figureOf({C: [3e6]}, {cutOff: ['C']})).includes('>at least 3 ms<'));
});
