/** How are health probes written on the command line? */
import {InvalidArgumentError} from 'commander';
import {type Probe, probe} from '../../fleet/documents.js';

/** A probe whose time is not given yet. */
type Unbounded<P = Probe> = P extends Probe ? Omit<P, 'within'> : never;

/** `URL#name<0.5`; the name may have labels, with any of the signs in their quotes. */
const METRIC =
  /^(?<url>https?:\/\/[^\s#]+)#(?<metric>.+?)\s*(?<compare><=|>=|==|<|>)\s*(?<threshold>[^<>="]+)$/;

function toProbe(text: string): Unbounded {
  const {url = '', metric = '', compare = '', threshold = ''} = METRIC.exec(text)?.groups ?? {};
  if (metric !== '')
    return {kind: 'metric', url, metric, compare: compare as '<', threshold: Number(threshold)};
  return /^https?:\/\//.test(text) ? {kind: 'http', url: text} : {kind: 'command', command: text};
}

/** A shell command, a URL, or `URL#METRIC<NUMBER`; given again, all of them must pass. */
export function parseProbe(text: string, before?: unknown): readonly Unbounded[] {
  const found = toProbe(text);
  // What comes after # is sent to nobody: a figure was meant.
  const half = found.kind === 'http' && text.includes('#');
  if (half || !probe.safeParse({...found, within: 0}).success)
    throw new InvalidArgumentError(
      'Give a shell command, http://HOST/PATH, or http://HOST/metrics#NAME<NUMBER (also <= > >= ==).',
    );
  return [...((before ?? []) as Unbounded[]), found];
}

/** Each of them may take so many milliseconds. */
export function withinEach(probes: readonly Unbounded[], within: number): Probe[] {
  return probes.map(each => ({...each, within}));
}

/** A probe as it is typed. */
export function probeText(of: Probe): string {
  if (of.kind === 'command') return of.command;
  return of.kind === 'http' ? of.url : `${of.url}#${of.metric}${of.compare}${of.threshold}`;
}
