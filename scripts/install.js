// Makes the native addon available: keeps a prebuilt one that loads, builds one otherwise.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const libc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
const prebuilt = `${root}prebuilds/linux-${process.arch}/locksmith-linux.${libc}.node`;

function loads(file) {
  try {
    createRequire(import.meta.url)(file);
    return true;
  } catch (error) {
    console.error(`locksmith: the prebuilt addon does not load here, building it (${error.message})`);
    return false;
  }
}

if (!existsSync(prebuilt) || !loads(prebuilt)) {
  const {status} = spawnSync('node-gyp', ['rebuild'], {cwd: root, stdio: 'inherit'});
  process.exitCode = status ?? 1;
}
