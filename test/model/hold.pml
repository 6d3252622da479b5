/* Does every hold end, and does everybody get in afterwards? A holder that may freeze for ever, the orchestrator, a contender; told by ltl formulas. */
#define ORPHANED 1
#define OWNER_AGAIN 2
#define RELEASED 3
#define DIED 4
#define SHADOW_GONE 5
#define FENCED 6
#define HELD 7
#define REFUSED 8
#define TOOK_EFFECT 9
#define TOO_LATE 10
#define FROZEN 11
#define OWNER_AFTER_ALL_CLEAR 12

#define MAY_FREEZE
#include "objects.pml"

#define EXPIRES true
#define MAY_BE_DEAF true
#define UPDATES false
#define BEQUEATH skip
inline expired() { skip }

#include "program.pml"
#include "gate.pml"

/* hold() with one effect in it, as a recoverer has them. */
proctype Holder(byte me) {
  announce();
  empty_room();
  REACHED(HELD);
  STEP(bit_new = true);
  STEP(if :: over[me] -> goto refused :: else fi);
  STEP(if
       :: bit_new -> CHECK(effect_in_hold, door == me && room == me); bit_new = false; REACHED(TOOK_EFFECT)
       :: else -> REACHED(TOO_LATE)
       fi);
refused:
  REACHED(REFUSED);
  end_hold();
  goto done;
died:
  atomic { die(me) };
  goto done;
frozen:
  REACHED(FROZEN);
end_frozen:
  false;
done:
  skip
}

init {
  atomic {
    mortal[R] = true;
    epoch = 1;
    highest = 1;
    rec_epoch = 1;
    run Program(A, false, 1);
    run Orchestrator();
    run Supervisor(R);
    run Holder(R)
  }
}

#ifdef LIVENESS
ltl hold_ends { [] (door == R -> <> (door != R)) }
ltl contender_gets_in { <> (owner_of[2] == A) }
#endif
