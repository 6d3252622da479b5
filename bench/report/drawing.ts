/** What do all our drawings share? Their look, and elements of SVG as text. */

const LETTER = 7.3;

/** Colours for light and dark, without a word from the page around. */
export const STYLE = `
    text { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; fill: #24292f; }
    .title { font-weight: bold; }
    .ground { fill: #ffffff; }
    .axis { stroke: #d0d7de; }
    .bar { fill: #8c959f; }
    .ours { fill: #0969da; }
    .yardstick { fill: #bf8700; }
    .whisker { stroke: #24292f; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .ground { fill: #0d1117; }
      .axis { stroke: #30363d; }
      .bar { fill: #6e7681; }
      .ours { fill: #4493f8; }
      .yardstick { fill: #d29922; }
      .whisker { stroke: #e6edf3; }
    }
  `;

const SPECIAL: Readonly<Record<string, string>> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, each => SPECIAL[each] ?? each);
}

/** Of a text, in pixels. The letters have one width, so that no text runs into another. */
export function widthOf(text: string): number {
  return Math.ceil(text.length * LETTER);
}

/** One element, indented; its content is text, never markup. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  content = '',
): string {
  const list = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === 'number' ? Math.round(value * 10) / 10 : escaped(value)}"`,
  );
  return `  <${name}${list.join('')}${content === '' ? '/>' : `>${escaped(content)}</${name}>`}`;
}
