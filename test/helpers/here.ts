/** Can a test run on this machine? Where not, it is skipped and says why; in CI it fails. */
import {release} from 'node:os';
import anyTest, {type ImplementationFn} from 'ava';

/** Defines a test that needs something; `missing` says what is not there, undefined when all is. */
export function testWith(missing: string | undefined, title: string, run: ImplementationFn<[]>): void {
  if (missing === undefined || process.env['CI'] !== undefined) anyTest(title, run);
  else anyTest.skip(`${title} (needs ${missing})`, run);
}

export const asRoot = process.geteuid?.() === 0 ? undefined : 'root';

/** Is the kernel at least this one? */
export function kernelIs(major: number, minor: number): boolean {
  const [ours = 0, itsMinor = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && itsMinor >= minor);
}
