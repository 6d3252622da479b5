// Which tests run? Those of test/vm inside the test machine, all others outside.
const insideVm = process.env.LOCKSMITH_INSIDE_VM !== undefined;
const underSystemd = process.env.LOCKSMITH_INSIDE_VM === 'systemd';
// An instrumented addon tells nothing of its speed, and makes calls of its own by the thousand.
const instrumented = process.env.ASAN_OPTIONS !== undefined;

const outside = ['dist/test/**/*.test.js', '!dist/test/vm/**'];

export default {
  files: insideVm
    ? [underSystemd ? 'dist/test/vm/systemd/*.test.js' : 'dist/test/vm/*.test.js']
    : [
        ...outside,
        ...(instrumented ? ['speed', 'injection'].map(name => `!dist/test/**/${name}.test.js`) : []),
      ],
  workerThreads: false,
  // Inside, all files share one module, and some unload it.
  concurrency: insideVm ? 1 : 2,
  // Without a result: update-killed alone takes minutes under sanitizers on a busy machine. Nothing under systemd does.
  timeout: underSystemd ? '3m' : '15m',
};
