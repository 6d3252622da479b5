/* Is a lock taken back only from the dead, only in a hold, and wholly? An owner with a child, a contender, the orchestrator, two recoverers. */
#define ORPHANED 1
#define OWNER_AGAIN 2
#define RELEASED 3
#define DIED 4
#define SHADOW_GONE 5
#define FENCED 6
#define REFUSED 7
#define NOT_DEAD 8
#define CHANGED 9
#define DRAINED 10
#define EPOCH_RAISED 11
#define HANDED_OVER 12
#define FENCED_RECORD 13
#define FENCED_HANDOVER 14
#define FENCED_CLEAR 15
#define RESIGNS 16
#define ALL_CLEAR 17
#define FAILED 18
#define RECOVERER_DIED 19
#define OWNER_AFTER_ALL_CLEAR 20

#include "objects.pml"

/* The audit has the intent of this recoverer; the pid of the dead has been given to somebody else. */
bool intended[COUNT];
bool reused[COUNT];

#define NO_OLD_SHADOW ((shadows & BELOW(next)) == 0)
#define UPDATES (me == A)

/* Most faults show where there are few processes: with -DFEW there is neither a contender, nor a child, nor the orchestrator. */

/* Formulas say what must come where the time suffices: everybody goes on, each hold but the first is long enough,
   who waits for the guard gets it before it is taken again, validators are content. */
#ifdef LIVENESS
byte expiries;
#define EXPIRES (expiries < 1)
#define MAY_BE_DEAF false
#define MAY_REFUSE false
#define TRIES 3
#define WAITERS_HAD_THEIR_TURN ((!waits[A] && !waits[B]) || over[me])
#define BEQUEATH if :: reused[me] = true :: skip fi; if :: guard == me -> guard = C; inside[C] = true :: skip fi
inline expired() { expiries++ }
#else
#define EXPIRES true
#define MAY_BE_DEAF true
#define MAY_REFUSE true
#define TRIES 1
#define WAITERS_HAD_THEIR_TURN true
#define BEQUEATH if :: guard == me -> guard = C; inside[C] = true :: skip fi
inline expired() { skip }
#endif

#include "program.pml"
#include "gate.pml"
#include "recovery.pml"

/* The descriptors that a child has inherited stay open. */
proctype Child() {
end_none:
  atomic { guard == C -> guard = NOBODY; inside[C] = false }
}

/* What is special here: the owner on record is proven gone, or has resigned. */
inline taking_effect() {
  CHECK(only_from_the_dead, rec_state == RESIGNED || gone[rec_owner]);
  CHECK(unknown_never_releases, rec_state == RESIGNED || known[rec_owner]);
  tries--;
  handing = true
}

#define ORPHAN (conf_locked == 1 && guard == NOBODY && (gone[rec_owner] || rec_state == RESIGNED))

/* drainContenders: the guard, and nobody who waits for it. */
inline drain() {
  do
  :: ASSERT_IN_FORCE();
     if
     :: atomic { guard == NOBODY -> lock_guard(me) }
     :: atomic { over[me] -> goto failed }
     :: OR_NOT
     fi;
     if
     :: atomic { !waits[A] && !waits[B] -> break }                          /* listContenders */
     :: atomic { waits[A] || waits[B] -> skip };
        STEP(guard = NOBODY; REACHED(DRAINED));
        STEP(WAITERS_HAD_THEIR_TURN)                                        /* untilSomethingChanges */
     :: OR_NOT
     fi
  od
}

/* verifyStillDead */
inline verify() {
  STEP(if :: rec_owner == owner && rec_epoch == at && rec_state == state :: else -> REACHED(CHANGED); goto failed fi);
  STEP(if :: epoch == now && conf_locked == 1 :: else -> goto failed fi; owner = NOBODY; state = FREE)
}

proctype Recoverer(byte me) {
  byte owner, state, at, now, next, listed, hash;
  byte tries = TRIES;
  bool value, held, handed;

start:
  STEP(recovery == NOBODY -> recovery = me);                                /* lockRecovery, or waitForRecovery */
  look();                                                                   /* examine */
  STEP(if
       :: value == 1 && GUARD_SEEN_FREE && VOUCHES && (PROVEN_GONE(owner) || state == RESIGNED)
       :: else -> REACHED(NOT_DEAD); goto unchanged
       fi;
       value = false; held = false);
#ifndef M_NO_INTENT
  STEP(intended[me] = true);                                                /* appendAudit: recover.intent */
#endif
  announce();
  empty_room();
#ifndef M_GUARD_NOT_TAKEN
  drain();
#endif
  verify();
  hand_over();
  clean();
  clear();
  all_clear();
  goto end_in_order;
refused:
  REACHED(REFUSED);
failed:
  REACHED(FAILED);
  resign();
end_in_order:
  STEP(close_guard(me));
  end_hold();
unchanged:
  STEP(intended[me] = false; recovery = NOBODY; handed = false; owner = 0; state = 0; at = 0; now = 0; next = 0; hash = 0; value = 0; held = 0);
end_idle:
  if
  :: ORPHAN && tries > 0 -> goto start
  :: tries == 0 -> goto done
  fi;
died:
  atomic {
    die(me);
    REACHED(RECOVERER_DIED);
    tries = 0; handed = false; owner = 0; state = 0; at = 0; now = 0; next = 0; hash = 0; value = 0; held = 0; listed = 0
  };
done:
  skip
}

init {
  atomic {
    mortal[A] = true;
#ifdef LIVENESS
    known[A] = true;
#else
    mortal[R] = true;
    if :: known[A] = true :: skip fi;
#ifndef FEW
    run Orchestrator();
#endif
    run Supervisor(S);
    run Recoverer(S);
#endif
    known[B] = true;
    known[R] = true;
    known[S] = true;
    epoch = 1;
    highest = 1;
    rec_epoch = 1;
    rec_owner = A;
    rec_state = OWNED;
    rec_fd[A] = true;
    bit_fd[A] = true;
    epoch_fd[A] = true;
    conf_locked = 1;
    guard = A;
    inside[A] = true;
    working[A] = true;
    owner_of[1] = A;
    owns[A] = 1;
    run Program(A, true, 0);
#ifndef FEW
    run Program(B, false, 1);
    run Child();
#endif
    run Supervisor(R);
    run Recoverer(R)
  }
}

#ifdef LIVENESS
ltl reclaimed { [] ((conf_locked == 1 && gone[rec_owner] && guard == NOBODY) -> <> (conf_locked == 0)) }
ltl contender_gets_in { <> (owner_of[2] == B || owner_of[3] == B || owner_of[4] == B || owner_of[5] == B) }
#endif
