/** How can an orchestrator be stopped that does not use the library? Three ways; each waits for an acknowledgement and is undone. */
export type QuiesceSpec =
  | {readonly kind: 'freezer'; readonly cgroup: string}
  | {readonly kind: 'unit'; readonly unit: string; readonly how: 'freeze' | 'stop'}
  | {readonly kind: 'command'; readonly stop: string; readonly resume: string; readonly within: number};
