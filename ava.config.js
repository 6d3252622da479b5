// Which tests run? Those of test/vm inside the test machine, all others outside.
const insideVm = process.env.LOCKSMITH_INSIDE_VM !== undefined;
const underSystemd = process.env.LOCKSMITH_INSIDE_VM === 'systemd';
// An instrumented addon tells nothing of its speed, and makes calls of its own by the thousand. Commands that give a daemon two
// seconds to answer would go without it; what they and the daemon do is tested apart as well. The fleet adds nothing to the addon.
const instrumented = process.env.ASAN_OPTIONS !== undefined;
const NOT_INSTRUMENTED = [
  ...['speed', 'injection', 'via', 'hold-there'].map(name => `!dist/test/**/${name}.test.js`),
  ...['fleet/**', 'cli/fleet/**', 'daemon/fleet*', 'faults/rollout*'].map(name => `!dist/test/${name}`),
];

const outside = ['dist/test/**/*.test.js', '!dist/test/vm/**'];

export default {
  files: insideVm
    ? [underSystemd ? 'dist/test/vm/systemd/*.test.js' : 'dist/test/vm/*.test.js']
    : [...outside, ...(instrumented ? NOT_INSTRUMENTED : [])],
  workerThreads: false,
  // Inside, all files share one module, and some unload it.
  concurrency: insideVm ? 1 : 2,
  // Without a result: update-killed alone takes minutes under sanitizers on a busy machine. Nothing under systemd does.
  timeout: underSystemd ? '3m' : '15m',
};
