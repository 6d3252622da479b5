// Which tests run? Those of test/vm inside the test machine, all others outside.
const insideVm = process.env.LOCKSMITH_INSIDE_VM !== undefined;

export default {
  files: insideVm ? ['dist/test/vm/**/*.test.js'] : ['dist/test/**/*.test.js', '!dist/test/vm/**'],
  workerThreads: false,
  // Inside, all files share one module, and some unload it.
  concurrency: insideVm ? 1 : 2,
  // Without a result: update-killed alone takes minutes under sanitizers on a busy machine.
  timeout: '15m',
};
