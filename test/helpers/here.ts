/** Can a test run on this machine? Where not, it is skipped and says why; in CI it fails. */
import {release} from 'node:os';
import anyTest, {type ImplementationFn, type SerialFn, type TestFn} from 'ava';

/** Defines a test that needs something; `missing` says what is not there, undefined when all is. `define`: `test`, or `test.serial`. */
export function testWith(
  missing: string | undefined,
  title: string,
  run: ImplementationFn<[]>,
  define: TestFn | SerialFn = anyTest,
): void {
  if (missing === undefined || process.env['CI'] !== undefined) define(title, run);
  else define.skip(`${title} (needs ${missing})`, run);
}

export const asRoot = process.geteuid?.() === 0 ? undefined : 'root';

/** A test of what only root may do: mount, own what is another's, choose pids, make namespaces. */
export function testAsRoot(title: string, run: ImplementationFn<[]>): void {
  testWith(asRoot, title, run);
}

/** Is the kernel at least this one? */
export function kernelIs(major: number, minor: number): boolean {
  const [ours = 0, itsMinor = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && itsMinor >= minor);
}
