/** Is the other end of a Unix socket known for what it is, and does a service manager hear us? */
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
  const [socket] = (await once(server, 'connection')) as [Socket];
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle;
  t.deepEqual(native.peerCredentials(fd), {
    pid: client.pid ?? 0,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  });
  const pidfd = native.peerPidfd(fd);
  t.true(pidfd >= 0);
  t.is(native.isReadable(pidfd), 0);
  const exit = once(client, 'exit');
  t.is(native.pidfdSignal(pidfd, 9), 0);
  await exit;
  t.is(native.isReadable(pidfd), 1);
  native.close(pidfd);
  socket.destroy();
  server.close();
});

test('a descriptor that is no socket is refused', t => {
  const fd = native.open('/dev/null', 0, 0);
  t.is(native.peerCredentials(fd), -errnoOf('ENOTSOCK'));
  t.is(native.peerPidfd(fd), -errnoOf('ENOTSOCK'));
  native.close(fd);
});

for (const [what, address] of [
  ['a path', ''],
  ['an abstract name', '@locksmith-test-'],
] as const) {
  test(`a notification arrives at ${what}`, async t => {
    const place = address === '' ? join(scratch(t).directory, 'notify') : `${address}${process.pid}`;
    const program =
      'import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.bind(sys.argv[1].replace("@", "\\0", 1))\nsys.stdout.write("up")\nsys.stdout.flush()\nsys.stdout.write(s.recv(100).decode())';
    const manager = spawn('python3', ['-c', program, place], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(manager.stdout, 'data');
    t.is(native.notify(place, 'READY=1'), 0);
    const [received] = (await once(manager.stdout, 'data')) as [Buffer];
    t.is(received.toString(), 'READY=1');
  });
}

test('a notification that nobody can get has its errno', t => {
  t.is(native.notify(join(scratch(t).directory, 'nobody'), 'READY=1'), -errnoOf('ENOENT'));
  t.is(native.notify('x'.repeat(200), 'READY=1'), -errnoOf('ENAMETOOLONG'));
  t.is(native.notify('', 'READY=1'), -errnoOf('EINVAL'));
});
