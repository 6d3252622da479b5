/** How does a refusal of the kernel reach the caller? As an error shaped like those of node:fs. */
import {constants} from 'node:os';

/** Errnos that node:os has no name for (asm-generic/errno.h). */
const EXTRA: Record<string, number> = {
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ENODATA: 61,
  ENOLCK: 37,
  ESTALE: 116,
};

const TEXT: Record<string, string> = {
  EAGAIN: 'the resource is taken or not ready',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on the device',
  EROFS: 'the file system is read-only',
  EMFILE: 'this process has too many open files',
  ENFILE: 'the system has too many open files',
  ENOLCK: 'no locks available',
  EDEADLK: 'the wait would never end: a deadlock',
  ESTALE: 'stale: somebody changed it meanwhile',
  EBUSY: 'busy',
  EBADMSG: 'the content is not what it should be',
  ESRCH: 'no such process',
  ENOSYS: 'this kernel does not know the call',
  EOPNOTSUPP: 'not supported here',
  EOWNERDEAD: 'the owner is dead',
  EALREADY: 'it is so already',
  ENODEV: 'it was removed meanwhile',
  EOVERFLOW: 'the numbers are used up',
};

const NAMES = new Map<number, string>();
for (const [name, value] of [...Object.entries(EXTRA), ...Object.entries(constants.errno)]) {
  NAMES.set(value, name);
}
NAMES.set(constants.errno.EAGAIN, 'EAGAIN');
NAMES.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');

/** Name of an errno, positive or negative: `ENOLCK`. */
export function errnoName(errno: number): string {
  return NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** Positive number of an errno's name. */
export function errnoOf(name: string): number {
  const found = EXTRA[name] ?? (constants.errno as Record<string, number>)[name];
  if (found === undefined) throw new TypeError(`no errno is called ${name}`);
  return found;
}

/** What the kernel refused. `errno` is negative, as in node:fs. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(errno: number, syscall: string, path?: string) {
    const code = errnoName(errno);
    super(
      `${code}: ${TEXT[code] ?? 'the kernel refused'}, ${syscall}${path === undefined ? '' : ` '${path}'`}`,
    );
    this.code = code;
    this.errno = -Math.abs(errno);
    this.syscall = syscall;
    this.path = path;
  }
}

/** Passes a result of the addon on, and throws where it is -errno. */
export function check<T>(result: T | number, syscall: string, path?: string): T {
  if (typeof result === 'number' && result < 0) throw new SystemError(result, syscall, path);
  return result as T;
}

/** True when an error of node:fs or of the addon has one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}
