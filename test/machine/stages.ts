/** Which tests run under what? Those of test/vm/systemd under a systemd that is process 1, after all others. */

/** What ava is called with in each stage; a stage that is undefined is left out. */
export interface Stages {
  readonly plain?: readonly string[];
  readonly systemd?: readonly string[];
}

/** Options alone, such as a title to look for, are for the tests that need no systemd: to start one takes its time. */
export function splitStages(args: readonly string[]): Stages {
  const options = args.filter(arg => arg.startsWith('-'));
  const files = args.filter(arg => !arg.startsWith('-'));
  if (files.length === 0) return options.length === 0 ? {plain: [], systemd: []} : {plain: options};
  const forSystemd = files.filter(file => file.includes('/systemd/'));
  const others = files.filter(file => !file.includes('/systemd/'));
  return {
    ...(others.length > 0 && {plain: [...options, ...others]}),
    ...(forSystemd.length > 0 && {systemd: [...options, ...forSystemd]}),
  };
}
