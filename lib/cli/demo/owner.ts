/** The owner: begins an update of its node's configuration, and comes no further than its validation. */
import {type Node, openOn} from './node.js';
import {given, say, told} from './part.js';

const config = await openOn(given as Node);

await config.update(() => 'tuning = half a night\n', {
  purpose: 'nightly tuning',
  async validate(shadow) {
    say({say: 'in the middle', shadow, epoch: config.bit.epoch()});
    await told('go on');
  },
});
