/** What does a browser get? The status page: a few files that are read when the daemon starts; no request ever names a path. */
import {readFileSync} from 'node:fs';
import {extname} from 'node:path';
import type {Routes} from '../parts.js';

/** In the package; they are served as they were written. */
const FOLDER = new URL('../../../../lib/daemon/page/', import.meta.url);

const FILES: Readonly<Record<string, string>> = {
  '/': 'index.html',
  '/style.css': 'style.css',
  '/icon.svg': 'icon.svg',
  '/main.js': 'main.js',
  '/connection.js': 'connection.js',
  '/model.js': 'model.js',
  '/locks.js': 'locks.js',
  '/lists.js': 'lists.js',
  '/fleet.js': 'fleet.js',
  '/fleet-words.js': 'fleet-words.js',
  '/rollout.js': 'rollout.js',
  '/details.js': 'details.js',
  '/summary.js': 'summary.js',
  '/words.js': 'words.js',
  '/dom.js': 'dom.js',
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // Names and purposes come from users: a text that would become markup is an error.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Headers of every answer: it runs nothing that is not ours, and no other site gets to read or to frame it. */
export const PROTECTION: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** Is that the path of a file of the page? */
export function isPageFile(path: string): boolean {
  return Object.hasOwn(FILES, path);
}

export const pageRoutes: Routes = app => {
  for (const [path, name] of Object.entries(FILES)) {
    const content = readFileSync(new URL(name, FOLDER));
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    app.get(path, {schema: {hide: true}}, (_request, reply) => reply.type(type).send(content));
  }
};
