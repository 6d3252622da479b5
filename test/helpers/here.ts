/** Can a test run on this machine? Where not, it is skipped and says why; in CI it fails. */
import anyTest, {type ImplementationFn} from 'ava';

/** Defines a test that needs something; `missing` says what is not there, undefined when all is. */
export function testWith(missing: string | undefined, title: string, run: ImplementationFn<[]>): void {
  if (missing === undefined || process.env['CI'] !== undefined) anyTest(title, run);
  else anyTest.skip(`${title} (needs ${missing})`, run);
}

export const asRoot = process.geteuid?.() === 0 ? undefined : 'root';
