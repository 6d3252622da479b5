/** What does systemd hear from the daemon? That it is ready, what it does, and that it makes progress (sd_notify(3)). */
import {native} from '../os/native.js';
import {check} from '../os/system-error.js';
import type {System} from '../os/system.js';

/** The service manager, or nobody where the daemon was not started by one. */
export class Manager {
  readonly #socket: string | undefined;
  /** Milliseconds in which the manager wants to hear of progress (WATCHDOG_USEC); undefined when it does not. */
  readonly watchdog: number | undefined;

  constructor({env}: System) {
    this.#socket = env['NOTIFY_SOCKET'];
    const microseconds = Number(env['WATCHDOG_USEC']);
    const ours = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === process.pid;
    this.watchdog = ours && microseconds > 0 ? microseconds / 1000 : undefined;
  }

  ready(status: string): void {
    this.#tell(`READY=1\nSTATUS=${status}`);
  }

  /** One more piece of work is done. Said by nobody but who did it. */
  progress(status: string): void {
    this.#tell(`WATCHDOG=1\nSTATUS=${status}`);
  }

  /** The policy is being read again; `ready` follows. The manager pairs the two by the time (CLOCK_MONOTONIC). */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#tell('STOPPING=1');
  }

  /** Throws SystemError: a manager that can't be reached would end us for our silence. */
  #tell(message: string): void {
    if (this.#socket !== undefined) check(native.notify(this.#socket, message), 'sendto', this.#socket);
  }
}
