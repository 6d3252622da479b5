/** What happened to aim_lock_config? The incident, act by act, with real processes and real times. */
import {readdir, readFile} from 'node:fs/promises';
import {basename, dirname, join, relative} from 'node:path';
import type {Certificate} from '../../recovery/take-back.js';
import type {Verdict} from '../../recovery/verdict.js';
import {showDuration} from '../units.js';
import {canary} from './canary.js';
import {expectSame, expectThat} from './expect.js';
import type {Node} from './node.js';
import {type Actor, NAME, type Scene} from './scene.js';

/** Who acts and what happens; `facts` for scripts. */
export type Tell = (who: string, what: string, facts?: Readonly<Record<string, unknown>>) => void;

/** What one act hands on to the next. */
interface Stage {
  readonly scene: Scene;
  readonly tell: Tell;
  readonly node: Node;
}

export const FIRST_CONTENT = 'tuning = off';
const CANARY_CONTENT = 'tuning = canary';

async function everythingRuns({scene, tell}: Stage): Promise<Actor> {
  const orchestrator = scene.start('orchestrator', scene.nodes);
  const {round, reads} = await orchestrator.hear('round');
  expectSame('the first round', reads, [FIRST_CONTENT, FIRST_CONTENT, FIRST_CONTENT]);
  tell(
    'orchestrator',
    `pid ${orchestrator.pid} cycles over node-1, node-2, node-3: round ${round as number} reads "${FIRST_CONTENT}" on all`,
  );
  return orchestrator;
}

/** The bit itself, read as anybody would. */
async function readBit({scene, node}: Stage): Promise<{path: string; value: string}> {
  const path = join(node.roots.bits, NAME, 'conf_locked');
  const value = (await readFile(path, 'utf8')).trim();
  return {path: scene.inKernel ? path : relative(scene.directory, path), value};
}

async function ownerDies({scene, tell, node}: Stage): Promise<{pid: number; epoch: unknown}> {
  const owner = scene.start('owner', node);
  const {shadow, epoch} = await owner.hear('in the middle');
  tell(
    'owner',
    `pid ${owner.pid} on ${node.name} is in the middle of an update: ${basename(shadow as string)} is written, not yet in place`,
    {epoch},
  );
  await owner.kill();
  const {path, value} = await readBit({scene, tell, node});
  expectSame('the bit after the kill', value, '1');
  tell('owner', `pid ${owner.pid} is killed with SIGKILL; ${path} is ${value}`);
  expectSame('the file after the kill', (await readFile(node.file, 'utf8')).trim(), FIRST_CONTENT);
  return {pid: owner.pid, epoch};
}

async function readersMeetHot({scene, tell, node}: Stage, orchestrator: Actor): Promise<void> {
  const {reads} = await orchestrator.hear('round', line => (line['reads'] as string[])[0] === 'HOT');
  expectSame('what the orchestrator reads', reads, ['HOT', FIRST_CONTENT, FIRST_CONTENT]);
  const {status, stdout, stderr} = await scene.locksmith(
    node,
    'run',
    NAME,
    '-s',
    '-n',
    '--',
    'cat',
    node.file,
  );
  const [first = ''] = stderr.split('\n');
  expectSame('the next reader', [status, stdout, first], [1, '', `ERROR: ${NAME}.conf: HOT`]);
  tell('reader', first);
}

async function explained({scene, tell, node}: Stage, pid: number): Promise<void> {
  const {status, stdout} = await scene.locksmith(node, 'explain', NAME, '--json');
  expectSame('the status of explain', status, 0);
  const {state, hot, owner, evidence} = JSON.parse(stdout) as Verdict;
  expectSame('the verdict', [state, hot, owner?.pid, owner?.node], ['DEAD', true, pid, node.name]);
  tell('explain', `${state}: pid ${pid} on ${owner?.node}, since ${owner?.since}, for "${owner?.purpose}"`, {
    evidence,
  });
  for (const {looked, saw, follows} of evidence.filter(fact => /^(guard|pid)|\/owner$/.test(fact.looked))) {
    tell('', `${looked.split(' ', 2).join(' ').replace(dirname(node.roots.run), '')}: ${saw}: ${follows}`);
  }
}

async function contenderComes({scene, tell, node}: Stage): Promise<Actor> {
  const contender = scene.start('contender', node);
  await contender.hear('waiting');
  const {status, stdout} = await scene.locksmith(node, 'recover', NAME, '--dry-run', '--json');
  const {contenders, wouldRecover} = JSON.parse(stdout) as {contenders: unknown; wouldRecover: boolean};
  expectSame(
    'the rehearsal',
    [status, wouldRecover, contenders],
    [0, true, [{pid: contender.pid, doing: 'has the file open for writing'}]],
  );
  tell('contender', `pid ${contender.pid} waits for the lock, and has the file open for writing`);
  return contender;
}

/** While the hold waits for the contender, nobody passes the gate: shown by the orchestrator, and by a reader of its own. */
async function holdIsInForce(
  {scene, tell, node}: Stage,
  orchestrator: Actor,
  contender: Actor,
): Promise<void> {
  const stopped = await orchestrator.hear('stopped');
  expectSame('where the orchestrator stopped', stopped['node'], node.name);
  tell('orchestrator', `stopped at the gate of ${node.name}`);
  const {status, stderr} = await scene.locksmith(node, 'run', NAME, '-s', '-n', '-E', '9', '--', 'true');
  expectSame('the reader during the hold', [status, stderr.includes('is on hold by pid')], [9, true]);
  tell('reader', (stderr.split('\n')[0] ?? '').replace('locksmith: ', ''));
  contender.tell('step back');
  tell('contender', 'is asked to step back, and closes the file');
}

interface ShownStep {
  readonly step: string;
  readonly at: number;
  readonly contenders?: readonly {readonly pid: number}[];
  readonly acknowledgedAfter?: number;
  readonly remaining?: number;
  readonly certificate?: Certificate;
}

/** What is told of the steps of the recovery; the others pass in silence. */
const STEP_TOLD: Readonly<Record<string, (step: ShownStep) => string>> = {
  hold: ({acknowledgedAfter = 0, remaining = 0}) =>
    `hold of 90 s acknowledged after ${showDuration(acknowledgedAfter)}, ${showDuration(remaining)} left`,
  contenders: ({contenders = []}) => `waits for ${contenders.map(({pid}) => `pid ${pid}`).join(', ')}`,
  guard: () => 'no contender is left; the guard is taken',
  verify: () => 'the owner is the same, and still dead',
  handover: () => 'handover: the lock passed to us, its bit never clear',
  clean: () => 'the update is rolled back, its shadow is gone',
  clear: () => 'release: the bit is clear',
};

async function recovered(stage: Stage, orchestrator: Actor, contender: Actor): Promise<Certificate> {
  const {scene, tell, node} = stage;
  const steps: ShownStep[] = [];
  const ended = await scene.follow(
    node,
    ['recover', NAME, '--hold', '90s', '--reason', 'demo', '--json'],
    async line => {
      const step = JSON.parse(line) as ShownStep;
      steps.push(step);
      const text = STEP_TOLD[step.step]?.(step);
      if (text !== undefined) tell('recover', text, {...step});
      if (step.step === 'contenders' && step.contenders?.some(({pid}) => pid === contender.pid))
        await holdIsInForce(stage, orchestrator, contender);
    },
  );
  expectSame('the status of recover', [ended.status, ended.stderr], [0, '']);
  const order = [
    'recovery-lock',
    'verdict',
    'intent',
    'hold',
    'contenders',
    'guard',
    'verify',
    'handover',
    'clean',
    'clear',
    'all-clear',
  ];
  expectSame('the steps of the recovery', [...new Set(steps.map(({step}) => step))], order);
  const certificate = steps.at(-1)?.certificate as Certificate;
  expectSame(
    'the certificate',
    [certificate.lock, certificate.outcome, certificate.removedShadows.length],
    [NAME, 'rolled-back', 1],
  );
  tell(
    'recover',
    `all clear after ${showDuration(certificate.took)}: epoch ${certificate.epochs.before} -> ${certificate.epochs.after}`,
  );
  return certificate;
}

async function contenderGetsIn({tell}: Stage, contender: Actor, {epochs}: Certificate): Promise<void> {
  const {epoch} = await contender.hear('in');
  expectThat('the contender got in only after the recovery', (epoch as number) > epochs.after);
  await contender.hear('out');
  tell('contender', `gets in at epoch ${epoch as number}, and leaves`);
}

async function canaryFlies({scene, tell}: Stage): Promise<void> {
  const results = await canary(scene.nodes, `${CANARY_CONTENT}\n`);
  tell(
    'canary',
    `three locks FREE, three shadows valid, three files replaced: sha256 ${results[0]?.sha256.slice(0, 16)}… on all`,
    {results},
  );
}

async function orchestratorResumes({tell}: Stage, orchestrator: Actor): Promise<void> {
  orchestrator.tell('resume');
  await orchestrator.hear('resumed');
  const {round, reads} = await orchestrator.hear(
    'round',
    line => (line['reads'] as string[])[1] === CANARY_CONTENT,
  );
  expectSame('the round after the canary', reads, [CANARY_CONTENT, CANARY_CONTENT, CANARY_CONTENT]);
  tell('orchestrator', `resumes: round ${round as number} reads "${CANARY_CONTENT}" on all`);
}

async function nothingIsLeft(stage: Stage): Promise<void> {
  const {scene, tell, node} = stage;
  for (const {name, file} of scene.nodes)
    expectSame(`the files of ${name}`, await readdir(dirname(file)), [`${NAME}.conf`]);
  const log = await scene.locksmith(node, 'log', '--verify', '--json');
  expectSame('the audit log', [log.status, (JSON.parse(log.stdout) as {records: number}).records], [0, 2]);
  const {stdout} = await scene.locksmith(node, 'bit', NAME);
  const {path, value} = await readBit(stage);
  expectSame('the bit', [stdout, value], ['0\n', '0']);
  tell('audit', `two records, the chain is whole; ${path} is 0, no shadow is left`);
}

/** Plays the incident. Rejects with StoryBroken when anything differs from what is told. */
export async function playIncident(scene: Scene, tell: Tell): Promise<void> {
  const stage: Stage = {scene, tell, node: scene.nodes[0]};
  const orchestrator = await everythingRuns(stage);
  const {pid} = await ownerDies(stage);
  await readersMeetHot(stage, orchestrator);
  await explained(stage, pid);
  const contender = await contenderComes(stage);
  const certificate = await recovered(stage, orchestrator, contender);
  await contenderGetsIn(stage, contender, certificate);
  await canaryFlies(stage);
  await orchestratorResumes(stage, orchestrator);
  await nothingIsLeft(stage);
}
