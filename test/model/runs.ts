/** Which models are checked, what must never happen in them, what must be possible, and which faults must be found? */

/** All hold and nothing was left out; or an end is reached; or one of these properties is broken. */
export type Expected = 'holds' | 'reached' | readonly string[];

export interface ModelRun {
  /** The file, without .pml. */
  readonly model: string;
  /** Symbols of the preprocessor: variants, an end that is looked for, faults. */
  readonly defines?: readonly string[];
  /** An ltl formula, instead of the invariants. */
  readonly formula?: string;
  readonly expected: Expected;
}

/** Variants of a model, the ends that must be possible in it, and what each fault breaks. */
interface Model {
  readonly model: string;
  readonly variant?: readonly string[];
  readonly formulas?: readonly string[];
  readonly ends: readonly string[];
  /** Faults, several with a space in between, and the invariant or formula that each breaks. */
  readonly faults: Readonly<Record<string, string>>;
}

const MODELS: readonly Model[] = [
  {
    model: 'acquire',
    ends: ['ORPHANED', 'OWNER_AGAIN', 'RELEASED', 'DIED', 'HELD', 'REFUSED'],
    faults: {
      M_NO_ENTRY: 'nobody_works_in_a_hold',
      M_NO_GUARD: 'record_of_the_owner',
      M_IGNORE_BIT: 'orphan_is_not_used',
      M_EPOCH_OF_BIT: 'epochs_grow',
    },
  },
  {
    model: 'hold',
    formulas: ['hold_ends', 'contender_gets_in'],
    ends: ['HELD', 'REFUSED', 'TOOK_EFFECT', 'TOO_LATE', 'FROZEN'],
    faults: {
      M_NO_SUPERVISOR: 'hold_ends',
      M_DOOR_FIRST: 'hold_ends',
      M_NO_SWEEP: 'effect_in_hold',
      M_OPEN_FIRST: 'effect_in_hold',
      M_TELL_LAST: 'effect_in_hold',
    },
  },
  {
    model: 'release',
    formulas: ['reclaimed', 'contender_gets_in'],
    ends: 'NOT_DEAD REFUSED DRAINED EPOCH_RAISED HANDED_OVER RESIGNS FAILED ALL_CLEAR FENCED_RECORD FENCED_HANDOVER FENCED_CLEAR ORPHANED OWNER_AFTER_ALL_CLEAR RECOVERER_DIED 100 101 102 103 104'.split(
      ' ',
    ),
    faults: {
      'FEW M_NO_CHECK': 'effect_in_hold',
      'FEW M_CHECK_EARLY': 'effect_in_hold',
      'FEW M_NO_SWEEP': 'effect_in_hold',
      'FEW M_OPEN_FIRST': 'effect_in_hold',
      'FEW M_TELL_LAST': 'effect_in_hold',
      M_NO_ACKNOWLEDGEMENT: 'hold_is_acknowledged',
      'FEW M_NO_INTENT': 'audit_before_effect',
      'FEW M_GUARD_NOT_TAKEN': 'guard_in_hand',
      'FEW M_SILENCE_IS_DEATH M_GUARD_NOT_TAKEN M_NO_ACKNOWLEDGEMENT': 'only_from_the_dead',
      'FEW M_ABSENT_IS_DEAD': 'unknown_never_releases',
      'FEW M_GAP': 'bit_stays_set',
      'FEW M_NO_SHADOW_REMOVAL': 'all_clear_when_clean',
      'FEW M_EPOCH_OF_BIT': 'epochs_grow',
      M_PID_ONLY: 'reclaimed',
      M_NO_RESIGNATION: 'reclaimed',
    },
  },
  {
    model: 'force',
    ends: 'SHARED CHANGED REFUSED HANDED_OVER FENCED SHADOW_GONE RESIGNS ALL_CLEAR OPERATOR_DIED 100 101 102 103 104'.split(
      ' ',
    ),
    faults: {
      'FEW M_RECORD_IN_PLACE': 'record_of_the_owner',
      'FEW M_BIT_IN_PLACE': 'bit_stays_set',
      'FEW M_NO_FENCE': 'no_commit_below_the_epoch',
      'FEW M_NO_SHADOW_REMOVAL': 'no_commit_below_the_epoch',
      'FEW M_NO_RESTORE': 'share_given_back',
      'FEW M_NO_INTENT': 'audit_before_effect',
      'FEW M_NO_CHECK': 'effect_in_hold',
    },
  },
  {
    model: 'force',
    variant: ['FROM_THE_BEGINNING'],
    ends: ['NOTHING_TO_BREAK', 'OWNER_AFTER_ALL_CLEAR'],
    faults: {M_ROB_WHO_PASSES: 'all_clear_when_clean', M_NO_LAST_LOOK: 'one_owner'},
  },
];

function runsOf({model, variant = [], formulas = [], ends, faults}: Model): ModelRun[] {
  return [
    {model, defines: variant, expected: 'holds'},
    ...formulas.map(formula => ({model, defines: variant, formula, expected: 'holds'}) as const),
    ...ends.map(end => ({model, defines: [...variant, `REACH=${end}`], expected: 'reached'}) as const),
    ...Object.entries(faults).map(([fault, broken]) => {
      const formula = formulas.includes(broken) ? {formula: broken} : {};
      return {model, defines: [...variant, ...fault.split(' ')], ...formula, expected: [broken]} as const;
    }),
  ];
}

export const RUNS: readonly ModelRun[] = MODELS.flatMap(runsOf);
