/** How does this process drive roll-outs, beside what else it does? */
import type {FleetAccess} from '../../fleet/access.js';
import {Driver, type DriverOptions} from '../../fleet/driver.js';

/** A driver that runs until it is ended. */
export class Driving implements AsyncDisposable {
  readonly #end = new AbortController();
  /** Resolves when it was ended. Rejects as Driver.run does. */
  readonly over: Promise<void>;

  constructor(access: Pick<FleetAccess, 'config' | 'etcd' | 'system'>, onEvent?: DriverOptions['onEvent']) {
    const {signal} = this.#end;
    this.over = Driver.run(access, {signal, onEvent}).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    // Heard of by whoever asks for `over`.
    this.over.catch(() => undefined);
  }

  /** Ends it; another driver may lead when this resolves. */
  async end(): Promise<void> {
    this.#end.abort();
    await this.over.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
