/** An orchestrator with a cycle, a hold point, and nothing else: `node dist/examples/orchestrator.js FILE [SOCKET]`. */
import {openConfigLock} from '../lib/index.js';
import {DaemonClient, Orchestrator} from '../lib/client.js';

const [, , file = '/etc/aim/aim_lock_config.conf', socket = '/run/locksmith/daemon.sock'] = process.argv;
const config = await openConfigLock(file);
await using daemon = new DaemonClient(socket);
await using orchestrator = new Orchestrator(daemon, {
  name: 'example',
  locks: [config.name],
  onTrouble: error => console.error('no daemon for now:', error),
});
const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());

try {
  while (!end.signal.aborted) {
    // Waits here while a hold is in force; inside, none is granted.
    await using cycle = await orchestrator.cycle(config, {signal: end.signal});
    console.log(`cycle with ${(await config.read()).length} bytes, gate ${cycle.descriptors[0]}`);
  }
} catch (error) {
  if (!end.signal.aborted) throw error;
}
