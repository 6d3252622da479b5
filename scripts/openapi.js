// Writes docs/openapi.json: what the daemon can be asked, as its routes say it. npm run docs:openapi
import {readFileSync, writeFileSync} from 'node:fs';
import {describeApi} from '../dist/lib/daemon/server.js';
import {system} from '../dist/lib/os/system.js';

const {version} = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const text = JSON.stringify(await describeApi(version, system()), null, 2);
writeFileSync(new URL('../docs/openapi.json', import.meta.url), `${text}\n`);
