/** Is the other end of a Unix socket known for what it is? */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {errnoOf} from '../../lib/os/system-error.js';
import {scratch} from '../helpers/scratch.js';

test('peer credentials and peer pidfd name the process that connected', async t => {
  const path = join(scratch(t).directory, 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const client = spawn(process.execPath, ['-e', `require('node:net').connect(${JSON.stringify(path)})`], {
    stdio: 'ignore',
  });
  t.teardown(() => client.kill('SIGKILL'));
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle;
  t.deepEqual(native.peerCredentials(fd), {
    pid: client.pid ?? 0,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  });
  // Node counts the process's own group among them, the kernel need not.
  const own = process.getgid?.() ?? 0;
  t.deepEqual(
    new Set([own, ...(native.peerGroups(fd) as number[])]),
    new Set([own, ...(process.getgroups?.() ?? [])]),
  );
  const pidfd = native.peerPidfd(fd);
  t.true(pidfd >= 0);
  t.is(native.isReadable(pidfd), 0);
  const exit = once(client, 'exit');
  t.is(native.pidfdSignal(pidfd, 9), 0);
  await exit;
  t.is(native.isReadable(pidfd), 1);
  native.close(pidfd);
});

test('a descriptor that is no socket is refused', t => {
  const fd = native.open('/dev/null', 0, 0);
  t.is(native.peerCredentials(fd), -errnoOf('ENOTSOCK'));
  t.is(native.peerPidfd(fd), -errnoOf('ENOTSOCK'));
  t.is(native.peerGroups(fd), -errnoOf('ENOTSOCK'));
  native.close(fd);
});
