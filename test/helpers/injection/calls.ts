/** Which system calls may fail with which errors, by their manual pages, and which calls change something that others see? */

/** The errors that every operation must survive. */
export const ERRORS = ['EIO', 'ENOSPC', 'EMFILE', 'EINTR', 'EACCES', 'ENOLCK'] as const;
export type InjectedError = (typeof ERRORS)[number];

/**
 * Those of ERRORS that section 2 of the manual lists for a call, by the stepper's names. What is left out on purpose:
 * calls on eventfds and pipes (`:other`), epoll_ctl(2) and futex(2), after whose failure libuv or the C library ends the process by abort(3), which is a death like others;
 * fcntl(2) that gives a whole file back, which needs no memory, but has the errors of one list with all others.
 */
export const MAY_FAIL: Readonly<Record<string, readonly InjectedError[]>> = {
  access: ['EACCES', 'EIO'],
  close: ['EINTR', 'EIO', 'ENOSPC'],
  dup3: ['EINTR', 'EMFILE'],
  epoll_create1: ['EMFILE'],
  epoll_pwait: ['EINTR'],
  epoll_wait: ['EINTR'],
  eventfd2: ['EMFILE'],
  faccessat: ['EACCES', 'EIO'],
  faccessat2: ['EACCES', 'EIO'],
  fchmod: ['EIO'],
  fchown: ['EIO'],
  'fcntl:copy': ['EMFILE'],
  'fcntl:lock': ['EACCES', 'EINTR', 'ENOLCK'],
  'fcntl:test': ['ENOLCK'],
  'fcntl:wait': ['EINTR', 'ENOLCK'],
  fdatasync: ['EINTR', 'EIO', 'ENOSPC'],
  fsetxattr: ['ENOSPC'],
  fstatfs: ['EINTR', 'EIO'],
  fsync: ['EINTR', 'EIO', 'ENOSPC'],
  ftruncate: ['EINTR', 'EIO'],
  getrandom: ['EINTR'],
  inotify_add_watch: ['EACCES', 'ENOSPC'],
  inotify_init1: ['EMFILE'],
  lstat: ['EACCES'],
  mkdir: ['EACCES', 'ENOSPC'],
  newfstatat: ['EACCES'],
  open: ['EACCES', 'EINTR', 'EMFILE'],
  openat: ['EACCES', 'EINTR', 'EMFILE'],
  'openat:create': ['EACCES', 'EINTR', 'EMFILE', 'ENOSPC'],
  pidfd_getfd: ['EMFILE'],
  pidfd_open: ['EMFILE'],
  pipe2: ['EMFILE'],
  poll: ['EINTR'],
  pread64: ['EINTR', 'EIO'],
  pwrite64: ['EINTR', 'EIO', 'ENOSPC'],
  read: ['EINTR', 'EIO'],
  readlink: ['EACCES', 'EIO'],
  recvfrom: ['EINTR'],
  rename: ['EACCES', 'ENOSPC'],
  rmdir: ['EACCES'],
  sendto: ['EACCES', 'EINTR'],
  socketpair: ['EMFILE'],
  stat: ['EACCES'],
  statfs: ['EACCES', 'EINTR', 'EIO'],
  statx: ['EACCES'],
  symlink: ['EACCES', 'EIO', 'ENOSPC'],
  timerfd_create: ['EMFILE'],
  unlink: ['EACCES', 'EIO'],
  write: ['EINTR', 'EIO', 'ENOSPC'],
};

/** The calls that may fail with an error. */
export function callsThatMayFail(error: InjectedError): string[] {
  return Object.keys(MAY_FAIL).filter(call => MAY_FAIL[call]?.includes(error));
}

/**
 * The calls after which others see something new. A process that is killed leaves the same behind wherever that is
 * between two of them: descriptors close themselves.
 */
export const CHANGING: readonly string[] = [
  'clone',
  'fchmod',
  'fchown',
  'fcntl:lock',
  'fcntl:unlock',
  'fcntl:wait',
  'fsetxattr',
  'fsync',
  'ftruncate',
  'mkdir',
  'openat:create',
  'pidfd_getfd',
  'pwrite64',
  'rename',
  'rmdir',
  'sendto',
  'symlink',
  'unlink',
  'write',
];
