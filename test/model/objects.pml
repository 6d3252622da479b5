/* What is there to share? The objects of one lock with a soft bit, as kernel and file system keep them, and what must hold of them. */

/* Who runs. Programs A and B acquire, update and release; recoverers R and S; orchestrator O; a child C that inherited A's descriptors. */
#define NOBODY 0
#define A 1
#define B 2
#define C 3
#define O 4
#define R 5
#define S 6
#define COUNT 7

/* An epoch is an index here; a run ends when they are used up. */
#define EPOCHS 8
#define BELOW(epoch) ((1 << (epoch)) - 1)

/* A system call, or what can't be told from one. A process that is killed here has not made it; one that is stopped here just doesn't go on; for good, where
   formulas say what must come, if MAY_FREEZE. */
#define STEP(what) if :: atomic { what } :: OR_NOT fi
#define OR_DIE atomic { mortal[me] -> mortal[me] = false; goto died }
#ifdef MAY_FREEZE
#define OR_NOT OR_DIE :: atomic { mortal[me] -> mortal[me] = false; goto frozen }
#else
#define OR_NOT OR_DIE
#endif

/* An invariant by its name, which the checker prints when it is broken. */
#define CHECK(name, condition) assert(name || (condition))
hidden byte epochs_grow, one_owner_an_epoch, one_owner, orphan_is_not_used, no_commit_below_the_epoch;
hidden byte files_of_the_guard, nobody_works_in_a_hold, bit_of_the_owner, record_of_the_owner, bit_stays_set, guard_in_hand, effect_in_hold;
hidden byte hold_is_acknowledged, audit_before_effect, only_from_the_dead, unknown_never_releases, share_given_back, all_clear_when_clean;

/* An end that must be possible: a run with -DREACH=NAME looks for it. */
#ifdef REACH
#define REACHED(name) assert(REACH != name)
#else
#define REACHED(name) skip
#endif

/* May still die in this run; has died: "proven dead", which stays true; can be judged by the recoverers. */
bool mortal[COUNT];
bool gone[COUNT];
bool known[COUNT];

/* The guard: by whose open file description it is locked, and whether that is `marked` as an owner's. `copier` shares the description of `copied` (pidfd_getfd). */
byte guard;
bool marked;
byte copied;
byte copier;
bool waits[COUNT];

/* The gate: by whose description the door is locked and the room exclusively, and who has a share of the room. `working`: has its gate open;
   `evicting`: of whose share somebody who forces the lock has a copy. */
byte door;
byte room;
byte evicting;
bool inside[COUNT];
bool working[COUNT];

/* The hold's supervisor: does it run, is the holder's end of the channel open, has it told that the hold is over? */
bool supervised[COUNT];
bool channel[COUNT];
bool over[COUNT];

byte recovery;

/* What the paths lead to: the owner record, and the two files of the soft bit. */
#define FREE 0
#define OWNED 1
#define RESIGNED 2
byte rec_state;
byte rec_owner;
byte rec_epoch;
bool conf_locked;
byte epoch;

/* Whose open descriptors lead to these very inodes. Replacing a file makes all others lead to what nobody reads. */
bool rec_fd[COUNT];
bool bit_fd[COUNT];
bool epoch_fd[COUNT];

/* Scratch files that a recoverer has written, ready to replace record, epoch and bit. */
bool record_new;
bool epoch_new;
bool bit_new;

/* The configuration, by the epoch that wrote it, and the shadows that exist, a bit each. */
byte file;
byte shadows;

/* Only for what must hold: the highest epoch that was named, who had which, who believes to own, below which no commit may come any more, up to
   which owners were forced, and where a handover is: before its end, between the renames of epoch and bit. */
byte highest;
byte owner_of[EPOCHS];
byte owns[COUNT];
byte cleaned;
byte forced_below;
bool handing;
bool between;
bool evicted[COUNT];

inline lock_guard(whose) {
  guard = whose;
  marked = false
}

inline close_guard(whose) {
  if
  :: copied == whose && guard == whose -> guard = copier; copied = NOBODY
  :: copied == whose && guard != whose -> copied = NOBODY
  :: copied != whose && guard == whose -> guard = NOBODY
  :: else
  fi
}

/* For each copy of the description. */
inline unlock_guard(whose) {
  if :: guard == whose -> guard = NOBODY :: else fi
}

inline close_gate(whose) {
  inside[whose] = false;
  working[whose] = false;
  if :: evicting == whose -> evicting = NOBODY :: else fi;
  evicted[whose] = false
}

inline unlock_gate(whose) {
  if :: door == whose -> door = NOBODY :: else fi;
  if :: room == whose -> room = NOBODY :: else fi
}

/* What the kernel does for the dead. The record, the bit and the shadows it leaves. */
inline die(who) {
  waits[who] = false;
  rec_fd[who] = false;
  bit_fd[who] = false;
  epoch_fd[who] = false;
  owns[who] = 0;
  close_guard(who);
  if :: copier == who -> copied = NOBODY; evicting = NOBODY :: else fi;
  close_gate(who);
  channel[who] = false;
  if :: !supervised[who] -> unlock_gate(who) :: else fi;
  if :: recovery == who -> recovery = NOBODY :: else fi;
  gone[who] = true
}

/* Readers of the path see it from now on. */
inline set_record(state, who, at) {
  CHECK(record_of_the_owner, at >= rec_epoch);
  rec_state = state;
  rec_owner = who;
  rec_epoch = at
}

inline clear_bit(at) {
  CHECK(bit_stays_set, !handing);
  CHECK(bit_of_the_owner, at == epoch || between);
  conf_locked = 0
}

/* An epoch is used for the first time. */
inline name_epoch(at) {
  CHECK(epochs_grow, at > highest);
  highest = at
}

/* nextEpoch: above what the bit has and what was ever recorded. */
#ifdef M_EPOCH_OF_BIT
#define AFTER(of_bit, of_record) ((of_bit) + 1)
#else
#define AFTER(of_bit, of_record) ((of_record > of_bit -> of_record : of_bit) + 1)
#endif
