/** How is an orchestrator stopped that has commands of its own for it? Status 0 of the first is the acknowledgement. */
import type {Action} from '../../os/hold-supervisor.js';
import type {Adapter} from './adapter.js';

/** The adapter of a pair of shell commands; each has `within` milliseconds. */
export function command(
  environment: Readonly<Record<string, string | undefined>>,
  {stop, resume, within}: {readonly stop: string; readonly resume: string; readonly within: number},
): Adapter {
  const run = (text: string): Action => ({
    argv: ['/bin/sh', '-c', text],
    environment,
    milliseconds: within,
  });
  return {
    title: `command ${JSON.stringify(stop)}`,
    byHand: resume,
    stop: run(stop),
    restore: run(resume),
    look: async () => true,
    acknowledge: async () => 'it exited with status 0',
    laggards: () => [],
    goesOn: async () => false,
  };
}
