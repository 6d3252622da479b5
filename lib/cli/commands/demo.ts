/** `locksmith demo`: what does an incident look like, from the death of an owner to ALL CLEAR? */
import {EXIT} from '../../errors.js';
import type {CommandSpec, Given} from '../command.js';
import {StoryBroken} from '../demo/expect.js';
import {Scene} from '../demo/scene.js';
import {FIRST_CONTENT, playIncident, type Tell} from '../demo/story.js';
import {note, paint, print, printJson} from '../output.js';
import {interruption} from '../signals.js';

interface DemoGiven extends Given {
  readonly keep?: true;
}

/** A demo that takes longer hangs, in milliseconds: it takes seconds on any machine, a minute on an emulated one. */
const PATIENCE = 300_000;

/** Tells each event with the time since the beginning. */
function teller(json: Given['json']): Tell {
  const start = performance.now();
  return (who, what, facts) => {
    const at = performance.now() - start;
    if (json) printJson({at: Math.round(at), who, what, ...facts});
    else
      print(
        `${paint(process.stdout, 'dim', `${(at / 1000).toFixed(3).padStart(7)} s`)}  ${paint(process.stdout, 'cyan', who.padEnd(12))}  ${what}`,
      );
  };
}

async function play({keep, json}: DemoGiven, signal: AbortSignal): Promise<void> {
  const tell = teller(json);
  await using scene = await Scene.build(`${FIRST_CONTENT}\n`, signal, keep === true);
  tell('scene', `three nodes below ${scene.directory}${keep ? ', kept afterwards' : ''}`);
  if (scene.inKernel) tell('scene', 'the lock bit of node-1 is kept by the kernel');
  await playIncident(scene, tell);
}

export const demoCommand: CommandSpec<DemoGiven> = {
  name: 'demo',
  group: 'About Locksmith:',
  summary: 'play a whole incident on a scratch directory, with real processes',
  arguments: [],
  options: [{flags: '--keep', what: 'keep the scratch directory, to look around in it'}],
  examples: [['locksmith demo', 'an owner dies in the middle; a few seconds later: ALL CLEAR']],
  about:
    'An orchestrator cycles over three nodes; the owner of aim_lock_config is killed in the middle of an update; the file is HOT, the owner is proven dead, ' +
    'the lock is taken back under a hold, a canary is rolled out, and everything goes on. Whatever it says is checked. It touches nothing else on this machine; where the kernel module is loaded, and knows no lock of that name, one is made there meanwhile.',
  exits: [
    [0, 'ALL CLEAR'],
    [1, 'something went another way than told'],
    [2, 'failure'],
  ],
  async run(_, options) {
    using interrupted = interruption();
    const patience = AbortSignal.timeout(PATIENCE);
    try {
      await play(options, AbortSignal.any([interrupted.signal, patience]));
    } catch (error) {
      interrupted.signal.throwIfAborted();
      if (patience.aborted)
        throw new Error(`the demo did not come to its end within ${PATIENCE / 1000} s`, {cause: error});
      if (!(error instanceof StoryBroken)) throw error;
      note(`locksmith: the demo went another way than told: ${error.message}`);
      return EXIT.no;
    }
    if (options.json) printJson({who: 'demo', what: 'ALL CLEAR'});
    else print(paint(process.stdout, 'green', 'ALL CLEAR'));
    return EXIT.done;
  },
};
