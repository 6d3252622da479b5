/** How does the daemon take a lock back for a command? As here: the same steps, certificate and refusals. */
import {certificateFrom, refusalFrom} from '../daemon/answers.js';
import type {CertificateAnswer} from '../daemon/api.js';
import type {Following} from '../daemon/client.js';
import type {Step} from '../recovery/take-back.js';
import type {Given} from './command.js';
import {remark} from './output.js';
import {Interrupted, interruption} from './signals.js';
import type {TakingBack} from './steps.js';

/** A step that the daemon has told of. Only its last one carries what has another form here. */
function stepFrom(step: Step): Step {
  if (step.step !== 'all-clear') return step;
  return {...step, certificate: certificateFrom(step['certificate'] as CertificateAnswer)};
}

/** Follows it until it ends. Ctrl-C ends only that we follow. */
export function takeBackThere(
  {json}: Given,
  ask: (following: Following) => Promise<CertificateAnswer>,
): TakingBack {
  return async onStep => {
    using interrupted = interruption();
    const {signal} = interrupted;
    try {
      return certificateFrom(await ask({signal, onStep: step => onStep(stepFrom(step))}));
    } catch (error) {
      if (error instanceof Interrupted)
        remark('the daemon brings to its end what it has begun; see: locksmith log', json);
      throw refusalFrom(error);
    }
  };
}
