/** Which fleet holds are in force on this node? Each is verified, held for no longer than its time, and answered. */
import type {NodeParts} from './node.js';

/** Of one agent. */
export class NodeHolds {
  constructor(_parts: NodeParts) {}

  /** A key below `now/holds/` is there (`lease`: its own), or has gone (undefined). Never throws; what happens is told. */
  take(_key: string, _value: Buffer | undefined, _lease: string): void {
    throw new Error('not yet');
  }

  /** Lets everything go on and tells the store so, if it is to be reached. Resolves when nothing is held. */
  async end(): Promise<void> {
    throw new Error('not yet');
  }
}
