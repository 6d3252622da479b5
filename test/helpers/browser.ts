/** How does a test see a page? In a real Chromium without a window: it waits for what changes there, and keeps whatever the page complains of. */
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import type {ExecutionContext} from 'ava';
import {type Browser, launch, type Page} from 'puppeteer-core';
import type {Ends} from './scratch.js';

const CHROMIUM = spawnSync('sh', ['-c', 'command -v chromium'], {encoding: 'utf8'}).stdout.trim();

/** What is missing, for testWith. */
export const noChromium = CHROMIUM === '' ? 'chromium' : undefined;

let browser: Promise<Browser> | undefined;

/** One for all tests of a file. As root it has no sandbox of its own; it sees only our page. */
function theBrowser(): Promise<Browser> {
  browser ??= launch({
    executablePath: CHROMIUM,
    pipe: true,
    // What the addon's sanitizers want to be loaded first is not for a browser.
    env: {...process.env, LD_PRELOAD: undefined},
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
}

/** Resolves when an element of that selector shows the text, or, with `not`, when none does; told by the page's changes. The bound is below the silence (45 s) after which the page asks for everything again. */
const UNTIL = `(selector, text, not) => new Promise((resolve, reject) => {
  const texts = () => [...document.querySelectorAll(selector)].filter(each => each.tagName === 'TITLE' || each.checkVisibility()).map(each => each.innerText);
  const check = () => {
    if (texts().some(each => each.includes(text)) === not) return;
    observer.disconnect();
    resolve();
  };
  const observer = new MutationObserver(check);
  observer.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  setTimeout(() => reject(new Error(selector + ' shows ' + JSON.stringify(texts()))), 30_000);
  check();
})`;

export interface Look {
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  /** A tool of the test runs in the page, which may do what the page may not. */
  readonly bypassCSP?: boolean;
}

/** A page that somebody looks at. */
export class Sight {
  readonly page: Page;
  /** Errors, warnings and breaches of the security policy. */
  readonly complaints: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('console', message => {
      if (message.type() !== 'log') this.complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', error => this.complaints.push(String(error)));
    page.on('dialog', dialog => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  /** Resolves when an element of that selector is to be seen and has the text in it. */
  async shows(selector: string, text = ''): Promise<void> {
    await this.#until(selector, text, false);
  }

  /** Resolves when no such element is to be seen. */
  async lacks(selector: string, text = ''): Promise<void> {
    await this.#until(selector, text, true);
  }

  async text(selector: string): Promise<string> {
    return this.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  }

  async evaluate<T>(expression: string): Promise<T> {
    return (await this.page.evaluate(expression)) as T;
  }

  async #until(selector: string, text: string, not: boolean): Promise<void> {
    await this.page.evaluate(`(${UNTIL})(${[selector, text, not].map(each => JSON.stringify(each)).join()})`);
  }
}

/** Opens a page; it is closed when the test has ended. */
export async function look(t: Ends, url: string, options: Look = {}): Promise<Sight> {
  const {scheme = 'light', width = 1280, height = 800, bypassCSP = false} = options;
  const page = await (await theBrowser()).newPage();
  t.teardown(() => page.close());
  await page.setViewport({width, height});
  await page.setBypassCSP(bypassCSP);
  await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
  const sight = new Sight(page);
  await page.goto(url);
  return sight;
}

const require = createRequire(import.meta.url);

/** Does a page fit its width, and does axe find nothing? It must be open with `bypassCSP`. */
export async function inspect(t: ExecutionContext, sight: Sight, options: Look): Promise<void> {
  const title = JSON.stringify(options);
  const width = await sight.evaluate<number>('document.documentElement.scrollWidth');
  t.true(width <= (options.width ?? 1280), `${title}: ${width} wide`);
  await sight.page.addScriptTag({path: require.resolve('axe-core/axe.min.js')});
  const violations = await sight.evaluate<{id: string; nodes: {html: string; failureSummary: string}[]}[]>(
    'axe.run().then(({violations}) => violations)',
  );
  t.deepEqual(
    violations.map(({id, nodes}) => [
      id,
      ...nodes.map(({html, failureSummary}) => `${html} ${failureSummary}`),
    ]),
    [],
    title,
  );
}
