/** `locksmith fleet`: what can be done on many machines at once? */
import type {CommandGroup} from '../command.js';

export const fleetCommand: CommandGroup = {
  name: 'fleet',
  group: 'Many machines:',
  summary: 'roll out, hold and look on many machines at once',
  commands: {
    nodes: async () => (await import('./fleet/nodes.js')).nodesCommand,
    proposals: async () => (await import('./fleet/proposals.js')).proposalsCommand,
    rollout: async () => (await import('./fleet/rollout.js')).rolloutCommand,
    hold: async () => (await import('./fleet/hold.js')).fleetHoldCommand,
    approve: async () => (await import('./fleet/approve.js')).approveCommand,
    forget: async () => (await import('./fleet/forget.js')).forgetCommand,
    keygen: async () => (await import('./fleet/keygen.js')).keygenCommand,
    agent: async () => (await import('./fleet/agent.js')).agentCommand,
    drive: async () => (await import('./fleet/drive.js')).driveCommand,
  },
  examples: [
    ['locksmith fleet nodes', 'who is there, and whose locks are HOT?'],
    [
      'locksmith fleet rollout start aim_lock_config.conf --reason "CR 1234"',
      'canary first, then step by step',
    ],
    ['locksmith fleet hold aim_lock_config --for 90s --reason drill', 'the same lock on every node'],
  ],
  about:
    'The machines of a fleet meet in etcd: each runs `locksmith fleet agent`, and /etc/locksmith/fleet/fleet.yaml says where etcd is and whom to believe (docs/fleet.md). ' +
    'Every command has --json and --config FILE. Nothing that a machine does for itself needs etcd.',
  exits: [
    [0, 'done, or yes'],
    [1, 'no: a roll-out did not converge, a hold was refused'],
    [2, 'the fleet file has a fault or is missing, or another failure'],
    [64, 'usage'],
    [69, 'no member of etcd answers'],
    [75, 'try again later; for a roll-out: it is paused'],
    [77, 'etcd refuses us, or a signature is not trusted'],
  ],
};
