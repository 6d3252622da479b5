/** What is stopped during a hold beside those who pass the gate, and how? As policy and command line name it. */
export type QuiesceSpec =
  | {readonly kind: 'freezer'; readonly cgroup: string}
  | {readonly kind: 'unit'; readonly unit: string; readonly how: 'freeze' | 'stop'}
  | {readonly kind: 'command'; readonly stop: string; readonly resume: string; readonly within: number};
