/** How did an owner end that is gone? Evidence that explains and decides nothing; silent where it can't be had. */
import type {Owner} from '../lock/owner-record.js';
import {deathSeen, describeEnding} from '../os/death.js';
import {type KernelReport, readKernelReports, type ReportKind} from '../os/kernel-log.js';
import {examineProcess} from '../os/process.js';
import {readText} from '../os/read-text.js';
import {isFirstTimeNamespace, type System} from '../os/system.js';
import {type Evidence, examineOwner} from './incarnation.js';

const timeText = (milliseconds: number) => new Date(milliseconds).toISOString();

function readBootTime(system: System): number | undefined {
  try {
    const seconds = /^btime (\d+)$/m.exec(readText(`${system.procRoot}/stat`))?.[1];
    return seconds === undefined ? undefined : Number(seconds) * 1000;
  } catch {
    return undefined;
  }
}

/** Another boot of the same machine: when this one began, from btime of /proc/stat (proc_stat(5)). */
function explainReboot(system: System, owner: Owner): Evidence[] {
  const sameMachine = owner.machineId !== undefined && owner.machineId === system.machineId;
  // A time namespace shifts btime too.
  if (!sameMachine || !isFirstTimeNamespace(system)) return [];
  const began = readBootTime(system);
  if (began === undefined) return [];
  return [
    {
      looked: `${system.procRoot}/stat`,
      saw: `this boot began at ${timeText(began)}`,
      follows: 'the owner had ended by then, with the boot that it ran in',
    },
  ];
}

/** What this process has seen of the end, and what is left of the owner while nobody has collected it. */
function explainEnding(system: System, {pid, identity}: Owner): Evidence[] {
  const looked = `end of pid ${pid} (${identity})`;
  const follows = 'that is how the owner ended';
  const death = deathSeen(pid, identity);
  if (death?.ending)
    return [
      {
        looked,
        saw: `it ${describeEnding(death.ending)}, seen by this process at ${timeText(death.seen)}`,
        follows,
      },
    ];
  const presence = examineProcess(system, pid);
  if (presence.kind === 'ended' && presence.identity === identity && presence.ending)
    return [{looked, saw: `it ${describeEnding(presence.ending)}`, follows}];
  return death
    ? [
        {
          looked,
          saw: `this process saw it at ${timeText(death.seen)}`,
          follows: 'the owner ended then or before',
        },
      ]
    : [];
}

const FOLLOWS: Readonly<Record<ReportKind, string>> = {
  memory: 'the kernel killed it for want of memory',
  fault: 'it made a fault that it did not handle, and the kernel ended it',
  hung: 'it was stuck in the kernel then; that alone ends no process',
};

function reportEvidence(system: System, {kind, text, earliest, latest}: KernelReport): Evidence {
  const time =
    earliest === latest ? timeText(latest) : `between ${timeText(earliest)} and ${timeText(latest)}`;
  return {looked: `kernel log ${system.kernelLog}`, saw: `${time}: ${text}`, follows: FOLLOWS[kind]};
}

/** So many lines of the kernel log are shown, the last ones. */
const MOST_REPORTS = 5;

async function explainByKernelLog(system: System, {pid, since}: Owner): Promise<Evidence[]> {
  const reports = await readKernelReports(system, pid, Date.parse(since));
  return reports.slice(-MOST_REPORTS).map(report => reportEvidence(system, report));
}

/**
 * What is known of the end of an owner that is gone, for the evidence of a verdict; empty for an owner that is not
 * proven gone. Never throws for what it can't read: that is left out.
 */
export async function explainDeath(system: System, owner: Owner): Promise<Evidence[]> {
  if (owner.bootId !== system.bootId) return explainReboot(system, owner);
  if (examineOwner(system, owner).existence !== 'gone') return [];
  return [...explainEnding(system, owner), ...(await explainByKernelLog(system, owner))];
}
