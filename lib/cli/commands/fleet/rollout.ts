/** `locksmith fleet rollout`: how does a new content reach all machines, some of them first? */
import type {CommandGroup} from '../../command.js';

export const rolloutCommand: CommandGroup = {
  name: 'rollout',
  group: 'Use:',
  summary: 'bring a new content to all nodes: canary, steps, health, roll back',
  commands: {
    status: async () => (await import('./rollout/status.js')).statusCommand,
    history: async () => (await import('./rollout/history.js')).historyCommand,
    start: async () => (await import('./rollout/start.js')).startCommand,
    pause: async () => (await import('./rollout/step-in.js')).pauseCommand,
    promote: async () => (await import('./rollout/step-in.js')).promoteCommand,
    abort: async () => (await import('./rollout/step-in.js')).abortCommand,
  },
  examples: [
    [
      'locksmith fleet rollout start aim_lock_config.conf --canary 3 --health /usr/bin/aim-check --reason "CR 1234"',
      'begins, and shows how it goes',
    ],
    ['locksmith fleet rollout status', 'all that are under way'],
    ['locksmith fleet rollout promote ID --reason "node-7 is repaired"', 'a paused one goes on'],
  ],
  about:
    'A roll-out goes from cohort to cohort: first the canary, then the steps. The nodes of a cohort prepare: each looks at its own lock, gets the content and validates it. ' +
    'When all are prepared, they apply, and are watched by the health probes for the soak time. A node whose lock is HOT pauses the roll-out; nodes that fail stop it, and those that applied put back what they had. ' +
    'Every command has --json and --config FILE.',
  exits: [
    [0, 'done; for one that is followed: it converged'],
    [1, 'it was stopped or rolled back'],
    [2, 'no such roll-out, the fleet file has a fault, or another failure'],
    [64, 'usage'],
    [69, 'no member of etcd answers'],
    [75, 'it is paused, or another one of that lock is under way'],
    [77, 'etcd refuses us, or a signature is not trusted'],
  ],
};
