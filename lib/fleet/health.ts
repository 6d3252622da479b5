/** Does a node stay well with a new content? Its probes are repeated until the soak time is over. */
import {monotonic} from '../os/deadline.js';
import type {Probe} from './documents.js';
import {pause} from './pause.js';
import {type Answer, runProbe} from './probe.js';

/** Between two rounds, in milliseconds. */
const INTERVAL = 1000;

/** What a round comes to: a failure first, then what could not be seen. */
function worstOf(answers: readonly Answer[]): Answer {
  return (
    answers.find(({result}) => result === 'failed') ??
    answers.find(({result}) => result === 'inconclusive') ?? {result: 'passed'}
  );
}

/**
 * Probes until the soak time (milliseconds) is over, each probe at least once. The first failure ends it. What a probe could not see counts
 * only when it is its last answer. Without a probe the time alone passes. Rejects only with signal.reason.
 */
export async function soak(
  probes: readonly Probe[],
  milliseconds: number,
  signal: AbortSignal,
  interval: number = INTERVAL,
): Promise<Answer> {
  const end = monotonic() + milliseconds;
  for (;;) {
    const answer = worstOf(await Promise.all(probes.map(probe => runProbe(probe, signal))));
    const remaining = end - monotonic();
    if (answer.result === 'failed' || remaining <= 0) return answer;
    await pause(probes.length > 0 ? Math.min(interval, remaining) : remaining, signal);
  }
}
