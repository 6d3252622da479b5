/** `locksmith watch`: what happens to the locks, as it happens? */
import {setTimeout as pause} from 'node:timers/promises';
import {DaemonClient} from '../../daemon/client.js';
import {socketPath} from '../../daemon/socket-path.js';
import {EXIT, isLockError} from '../../errors.js';
import {resolveRoots} from '../../lock/layout.js';
import {system} from '../../os/system.js';
import type {CommandSpec, Given} from '../command.js';
import {eventText, toTold} from '../event-text.js';
import {print, printJson} from '../output.js';
import {Screen} from '../screen.js';
import {interruption} from '../signals.js';
import {type Picture, pictureLines, Recent} from '../watch-view.js';

interface WatchGiven extends Given {
  readonly socket?: string;
}

/** Milliseconds between two drawings for the sake of the ages, and between two looks whether a daemon is there again. */
const SECOND = 1000;

/** Milliseconds from one answer to the next question, however much happens. */
const CALM = 50;

/** What is asked ends with the signal, whose reason is then the error. */
interface Access {
  readonly client: DaemonClient;
  readonly signal: AbortSignal;
}

async function printEvents({client, signal}: Access, json: Given['json']): Promise<never> {
  const events = client.events({signal});
  for (;;) {
    const told = toTold((await events.next()).value);
    if (json) printJson(told);
    else print(`${new Date().toISOString()}  ${eventText(told)}`);
  }
}

async function askAll({client, signal}: Access): Promise<Picture> {
  const [status, locks, holds] = await Promise.all([
    client.status({signal}),
    client.locks({signal}),
    client.holds({signal}),
  ]);
  return {status, locks, holds, taken: performance.now()};
}

/** The daemon on a terminal. */
class Watch {
  readonly #access: Access;
  readonly #screen: Screen;
  readonly #recent = new Recent();
  #picture: Picture | undefined;
  /** Since when nothing is heard. */
  #cutOff: string | undefined;
  /** Something happened since the last question. */
  #stale = false;
  #asking = false;

  constructor(access: Access, screen: Screen) {
    this.#access = access;
    this.#screen = screen;
  }

  readonly draw = (): void => {
    if (this.#picture) this.#screen.draw(pictureLines(this.#picture, this.#recent, this.#cutOff));
  };

  /** Follows one daemon to its end, and then the next. Rejects when not even the first is there. */
  async follow(): Promise<never> {
    for (;;) {
      try {
        await this.#followOne();
      } catch (error) {
        if (!this.#picture || !isLockError(error, 'ERR_NO_DAEMON')) throw error;
        this.#cutOff ??= new Date().toTimeString().slice(0, 8);
        this.draw();
        await pause(SECOND, undefined, {signal: this.#access.signal});
      }
    }
  }

  async #followOne(): Promise<void> {
    const {promise: failed, reject} = withReject();
    const hear = async () => {
      const {client, signal} = this.#access;
      for await (const event of client.events({signal})) {
        this.#recent.note(toTold(event));
        this.#ask().catch(reject);
      }
    };
    await Promise.race([hear(), failed]);
  }

  /** Asks how everything is; one question at a time, and another one when something happened meanwhile. */
  async #ask(): Promise<void> {
    this.#stale = true;
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        this.#picture = await askAll(this.#access);
        this.#cutOff = undefined;
        this.draw();
        await pause(CALM, undefined, {signal: this.#access.signal});
      }
    } finally {
      this.#asking = false;
    }
  }
}

function withReject(): {readonly promise: Promise<never>; readonly reject: (error: unknown) => void} {
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, fail) => (reject = fail));
  return {promise, reject};
}

async function showScreen(access: Access): Promise<never> {
  using screen = new Screen();
  const watch = new Watch(access, screen);
  const ticking = setInterval(watch.draw, SECOND);
  try {
    return await watch.follow();
  } finally {
    clearInterval(ticking);
  }
}

/** Aborts when whoever reads has seen enough. */
function untilUnread(): AbortSignal {
  const end = new AbortController();
  process.stdout.once('error', error => end.abort(error));
  return end.signal;
}

export const watchCommand: CommandSpec<WatchGiven> = {
  name: 'watch',
  group: 'Look:',
  summary: 'show what happens to the locks, as it happens',
  arguments: [],
  options: [
    {flags: '--socket <path>', what: 'where the daemon listens, if not on LOCKSMITH_RUN/daemon.sock'},
  ],
  examples: [
    ['locksmith watch', 'all locks on a terminal, those in trouble first; Ctrl-C ends it'],
    ['locksmith watch | grep DEAD', 'one line for each event'],
    ['locksmith watch --json', 'each event as a line of JSON'],
  ],
  about:
    'Needs the daemon, and hears everything from it; `locksmith ls` and `locksmith explain` do without where there is none. ' +
    'On a terminal it waits for the next daemon when one ends; otherwise it ends with it, so that no script believes that nothing happens.',
  exits: [
    [0, 'ended by Ctrl-C, or nobody reads any more'],
    [69, 'no daemon answers, or it has ended'],
    [77, 'the socket is for root and the group locksmith'],
  ],
  async run(_, {socket = socketPath(resolveRoots(system())), json}) {
    using interrupted = interruption();
    const signal = AbortSignal.any([interrupted.signal, untilUnread()]);
    await using client = new DaemonClient(socket);
    const access = {client, signal};
    try {
      return await (process.stdout.isTTY && !json ? showScreen(access) : printEvents(access, json));
    } catch (error) {
      if (signal.aborted) return EXIT.done;
      throw error;
    }
  },
};
