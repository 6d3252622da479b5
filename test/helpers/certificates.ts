/** Which certificates does a test have? Those of an authority of its own, made by openssl. */
import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {Tls} from '../../lib/fleet/etcd/etcd.js';

const run = promisify(execFile);

/** An authority, a server and clients. */
export class TestCertificates {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async in(directory: string): Promise<TestCertificates> {
    const made = new TestCertificates(directory);
    const subject = ['-subj', '/CN=Test authority', '-days', '2'];
    await run('openssl', ['req', '-x509', ...made.#newKey('ca'), ...subject, '-out', made.path('ca.pem')]);
    await Promise.all([made.issue('server'), made.issue('client')]);
    return made;
  }

  path(file: string): string {
    return join(this.#directory, file);
  }

  /** NAME.pem and NAME.key, for 127.0.0.1. With no days left it is over already. */
  async issue(name: string, days = 2): Promise<void> {
    const request = this.path(`${name}.csr`);
    const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    await run('openssl', ['req', ...this.#newKey(name), ...names, '-out', request]);
    const authority = ['-CA', this.path('ca.pem'), '-CAkey', this.path('ca.key'), '-CAcreateserial'];
    const answer = ['-copy_extensions', 'copy', '-days', String(days), '-out', this.path(`${name}.pem`)];
    await run('openssl', ['x509', '-req', '-in', request, ...authority, ...answer]);
  }

  tlsOf(name: string): Required<Tls> {
    const read = (file: string) => readFileSync(this.path(file));
    return {ca: read('ca.pem'), certificate: read(`${name}.pem`), key: read(`${name}.key`)};
  }

  get tls(): Required<Tls> {
    return this.tlsOf('client');
  }

  get serverOptions(): string[] {
    const own = ['--cert-file', this.path('server.pem'), '--key-file', this.path('server.key')];
    return [...own, '--client-cert-auth', '--trusted-ca-file', this.path('ca.pem')];
  }

  get ctlOptions(): string[] {
    const own = ['--cert', this.path('client.pem'), '--key', this.path('client.key')];
    return [...own, '--cacert', this.path('ca.pem')];
  }

  #newKey(name: string): string[] {
    return [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      this.path(`${name}.key`),
    ];
  }
}
