/* What if the owner lives, or nobody knows? Two programs that may be anywhere, and whoever forces the lock, and forces it again where that failed. */
#define ORPHANED 1
#define OWNER_AGAIN 2
#define RELEASED 3
#define DIED 4
#define SHADOW_GONE 5
#define FENCED 6
#define REFUSED 7
#define NOTHING_TO_BREAK 8
#define CHANGED 9
#define EPOCH_RAISED 11
#define HANDED_OVER 12
#define FENCED_RECORD 13
#define FENCED_HANDOVER 14
#define FENCED_CLEAR 15
#define RESIGNS 16
#define ALL_CLEAR 17
#define FAILED 18
#define OPERATOR_DIED 19
#define SHARED 20
#define OWNER_AFTER_ALL_CLEAR 21

#include "objects.pml"

/* The audit has the intent of whoever forces. */
bool intended[COUNT];

/* A shadow that an old owner made late can't be renamed any more: its next comparison fails. */
#define NO_OLD_SHADOW true
#define EXPIRES true
#define MAY_BE_DEAF true
#define MAY_REFUSE true
#define UPDATES (me == A)
#define BEQUEATH skip
inline expired() { skip }

#include "program.pml"
#include "gate.pml"
#include "recovery.pml"

inline taking_effect() {
  tries--;
  forced_below = next - 1
}

/* ownerOnRecord, and the epoch that the operator names. */
#define OWNER_NOW(bit_value, at_epoch) (rec_state != FREE && (bit_value == 0 || rec_epoch >= at_epoch) -> rec_owner : NOBODY)
#define HIGHER(a, b) (a > b -> a : b)

/* The holder, if it is on record as the owner. */
#define OWNER_WHO_HOLDS (state == OWNED && held == owner -> held : NOBODY)

/* Whose description may be shared: an owner's, by the mark of the lock or by the record. */
#ifdef M_ROB_WHO_PASSES
#define MAY_SHARE true
#else
#define MAY_SHARE (guard != NOBODY && (marked || guard == held))
#endif

/* takeOver, shareGuard: the guard itself, or a copy of the owner's description, and of its gate. */
inline take_over() {
  if
  :: atomic { guard == NOBODY -> lock_guard(me) }
  :: atomic { guard != NOBODY -> skip };
     STEP(if                                                                /* copyAll, of the guard */
          :: guard == A || guard == B -> copied = guard; copier = me
          :: else -> goto given_back
          fi);
     STEP(if :: MAY_SHARE -> held = guard; REACHED(SHARED) :: else -> goto given_back fi);  /* isOwners, isOnRecord */
     STEP(if                                                                /* sharesGuard: granted to whoever shares it */
          :: HOLDS_GUARD
          :: !HOLDS_GUARD && guard == NOBODY && copied != NOBODY -> guard = copied
          :: else -> goto given_back
          fi);
     STEP(if :: held != NOBODY && inside[held] -> evicting = held :: else fi) /* copyGates */
  :: OR_NOT
  fi
}

/* The door is shut: what the owner has of the room is unlocked through our copy. */
inline evict() {
  STEP(if :: evicting != NOBODY -> inside[evicting] = false; evicted[evicting] = true :: else fi)
}

/* Nothing was taken: the room is left, and as long as the door is shut by ourselves nobody is in the way of who was evicted (reenter). */
inline restore() {
#ifndef M_NO_RESTORE
  STEP(if :: room == me && !handed -> room = NOBODY :: else fi);
  STEP(if :: evicting != NOBODY && evicted[evicting] && !handed && door == me -> inside[evicting] = true; evicted[evicting] = false :: else fi)
#else
  skip
#endif
}

#define GOT_BACK(who) (!evicted[who] || owns[who] <= forced_below)

/* verifyUnchanged */
inline verify() {
  STEP(at = rec_epoch; listed = OWNER_NOW(1, now));
  STEP(if
       :: HIGHER(epoch, at) == named && (conf_locked == 1 || rec_state != FREE) && OWNER_NOW(conf_locked, epoch) == owner
       :: else -> REACHED(CHANGED); goto failed
       fi;
       listed = 0; owner = 0; named = 0)
}

proctype Operator(byte me) {
  byte owner, state, at, now, named, next, listed, hash, held;
  byte tries = 1;
  bool value, handed;

start:
  STEP(recovery == NOBODY -> recovery = me);                                /* lockRecovery */
  STEP(at = rec_epoch; state = rec_state; owner = rec_owner);               /* examine */
  STEP(value = conf_locked);
  STEP(now = epoch; if :: state == FREE || (value == 1 && at < now) -> owner = NOBODY :: else fi);
  STEP(held = guard);
  STEP(if                                                                   /* checkBreakable */
       :: value == 0 && (held == NOBODY || owner == NOBODY) -> REACHED(NOTHING_TO_BREAK); goto unchanged
       :: else -> named = HIGHER(at, now); held = OWNER_WHO_HOLDS; value = 0; state = 0
       fi);
#ifndef M_NO_INTENT
  STEP(intended[me] = true);                                                /* appendAudit: break-glass.intent */
#endif
  take_over();
  held = NOBODY;
  announce();
  evict();
  empty_room();
  ASSERT_IN_FORCE();
  if                                                                        /* drainContenders: our copy of the guard is kept */
  :: skip
  :: goto failed                                                            /* somebody has the file open, or signal */
  fi;
  verify();
  hand_over();
  clean();
  clear();
  all_clear();
  goto fenced;
refused:
  REACHED(REFUSED);
failed:
  REACHED(FAILED);
  resign();
  restore();
  if
  :: handing -> goto fenced
  :: else -> goto end_in_order
  fi;
fenced:
  STEP(if :: HOLDS_GUARD -> guard = NOBODY :: else fi);                     /* LockFile.unlock: for each copy */
end_in_order:
  STEP(CHECK(share_given_back, over[me] || evicting == NOBODY || GOT_BACK(evicting)));
  end_hold();
given_back:
  STEP(evicting = NOBODY; if :: copier == me -> copied = NOBODY :: else fi; close_guard(me));
unchanged:
  STEP(intended[me] = false; recovery = NOBODY; handed = false; owner = 0; state = 0; at = 0; now = 0; named = 0; next = 0; hash = 0; value = 0; held = 0);
end_idle:
  if
  :: tries > 0 && (conf_locked == 1 || guard != NOBODY) -> goto start
  :: tries == 0 -> goto done
  fi;
died:
  atomic {
    die(me);
    REACHED(OPERATOR_DIED);
    tries = 0; handed = false; owner = 0; state = 0; at = 0; now = 0; named = 0; next = 0; hash = 0; value = 0; held = 0; listed = 0
  };
done:
  skip
}

init {
  atomic {
    mortal[A] = true;
    epoch = 1;
    highest = 1;
    rec_epoch = 1;
#ifdef FROM_THE_BEGINNING
    run Program(A, false, 1);
    run Program(B, false, 1);
#else
    mortal[R] = true;
    rec_owner = A;
    rec_state = OWNED;
    rec_fd[A] = true;
    bit_fd[A] = true;
    epoch_fd[A] = true;
    conf_locked = 1;
    guard = A;
    marked = true;
    inside[A] = true;
    working[A] = true;
    owner_of[1] = A;
    owns[A] = 1;
    run Program(A, true, 0);
#ifndef FEW
    run Supervisor(S);
    run Operator(S);
#endif
#endif
    run Supervisor(R);
    run Operator(R)
  }
}
