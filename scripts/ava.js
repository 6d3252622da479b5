// Runs ava, with a TAP report that names the tests which were pending at a time-out or an exit. As it comes, ava's TAP
// reporter fails for these in its own code (`originalError` is undefined: it gets a bare error where it expects a
// serialised one), and nobody learns which test hung.
import TapReporter from '../node_modules/ava/lib/reporters/tap.js';
import run from '../node_modules/ava/lib/cli.js';

const {writeTest} = TapReporter.prototype;
TapReporter.prototype.writeTest = function (event, flags) {
  const {err} = event;
  const serialised =
    err instanceof Error ? {type: 'native', name: err.name, originalError: err, stack: err.stack} : err;
  return writeTest.call(this, {...event, err: serialised}, flags);
};
run();
