/** What value has a metric? Reads the text format of Prometheus, as far as one sample of it is asked for. */

/** Name, labels and value; a time may follow. Values of labels are quoted and may hold any letter. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\s*\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?(?:\s+(\S+))?/;
const LABEL = /([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"/g;

const SPECIAL: Readonly<Record<string, number>> = {
  '+Inf': Number.POSITIVE_INFINITY,
  Inf: Number.POSITIVE_INFINITY,
  '-Inf': Number.NEGATIVE_INFINITY,
};

interface Sample {
  /** Name and labels, in one order whatever theirs was. */
  readonly series: string;
  /** Undefined: there is none. */
  readonly value: number | undefined;
}

function readSample(line: string): Sample | undefined {
  const [, name, labels = '', value] = SAMPLE.exec(line.trim()) ?? [];
  if (name === undefined) return undefined;
  const sorted = [...labels.matchAll(LABEL)].map(([, label, text]) => `${label}="${text}"`).toSorted();
  return {
    series: `${name}{${sorted.join(',')}}`,
    value: value === undefined ? undefined : (SPECIAL[value] ?? Number(value)),
  };
}

/**
 * The value of the sample with that name and exactly these labels, in whatever order: `up`, `requests{code="500"}`. Undefined: there is none, or
 * it is no number. Source: prometheus.io, exposition formats.
 */
export function metricValue(text: string, metric: string): number | undefined {
  const wanted = readSample(metric)?.series;
  for (const line of text.split('\n')) {
    const sample = line.startsWith('#') ? undefined : readSample(line);
    if (sample && sample.series === wanted && sample.value !== undefined)
      return Number.isNaN(sample.value) ? undefined : sample.value;
  }
  return undefined;
}
