/** What did a node's file have, one content after the other? Each is read when it gets its name. */
import {type FSWatcher, statSync, watch} from 'node:fs';
import {basename, dirname} from 'node:path';
import {readStamped} from '../../../lib/fleet/stamp.js';
import {auditRecords} from '../../../lib/recovery/audit.js';
import type {Scratch} from '../scratch.js';
import type {NodePast, Sighting} from './rules.js';

/** Looks at one file. Of two contents within a moment the first may go unseen; what is seen was there. */
export class FileWatch {
  readonly #place: Scratch;
  readonly #watcher: FSWatcher;
  readonly #sightings: Sighting[] = [];
  readonly first: string;

  constructor(place: Scratch) {
    this.#place = place;
    this.first = readStamped(place.file).sha256 ?? '';
    this.#look();
    this.#watcher = watch(dirname(place.file), (_, name) => {
      if (name === basename(place.file)) this.#look();
    });
  }

  close(): void {
    this.#watcher.close();
  }

  /** All that is known of the node, with one more look. */
  async past(node: string): Promise<NodePast> {
    this.#look();
    const audit = [];
    for await (const record of auditRecords(this.#place.roots.state)) audit.push(record);
    return {node, first: this.first, sightings: this.#sightings, audit};
  }

  /** The file may be replaced while it is read: then it is read again. */
  #look(): void {
    const {file} = this.#place;
    for (;;) {
      const before = statSync(file);
      const {sha256, origin} = readStamped(file);
      if (statSync(file).ino !== before.ino) continue;
      const last = this.#sightings.at(-1);
      const same = last?.sha256 === sha256 && last?.origin?.epoch === origin?.epoch;
      if (!same) this.#sightings.push({at: before.ctimeMs, sha256: sha256 ?? '', origin});
      return;
    }
  }
}
