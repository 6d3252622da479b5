/* Is there one owner at a time, whoever dies when, and is nobody at work in a hold? Two programs, the orchestrator, and a hold. */
#define ORPHANED 1
#define OWNER_AGAIN 2
#define RELEASED 3
#define DIED 4
#define SHADOW_GONE 5
#define FENCED 6
#define HELD 7
#define REFUSED 8
#define OWNER_AFTER_ALL_CLEAR 9

#include "objects.pml"

#define EXPIRES true
#define MAY_BE_DEAF true
#define UPDATES true
#define BEQUEATH skip
inline expired() { skip }

#include "program.pml"
#include "gate.pml"

/* hold(), and nothing done in it. */
proctype Holder(byte me) {
  announce();
  empty_room();
  REACHED(HELD);
refused:
  REACHED(REFUSED);
  end_hold();
  goto done;
died:
  atomic { die(me) };
done:
  skip
}

init {
  atomic {
    mortal[A] = true;
    mortal[B] = true;
    mortal[R] = true;
    epoch = 1;
    highest = 1;
    rec_epoch = 1;
    run Program(A, false, 2);
    run Program(B, false, 1);
    run Orchestrator();
    run Supervisor(R);
    run Holder(R)
  }
}
